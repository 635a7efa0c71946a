//! `services`: the servers of the live tests.

use std::process::ExitCode;
use std::thread;

use anyhow::{Result, bail};
use clap::Subcommand;
use native::{Server, Services, State};

/// What to do with them.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Start servers, all by default; what runs already stays
    Up {
        /// Names as `status` shows them
        names: Vec<String>,
    },
    /// Stop servers, all by default, and remove their data
    Down {
        /// Names as `status` shows them
        names: Vec<String>,
    },
    /// List the servers and their addresses
    Status,
    /// End a server as a crash would
    Kill {
        /// A name as `status` shows it
        name: String,
    },
    /// Stop a server if it runs and start it on the same data and port
    Restart {
        /// A name as `status` shows it
        name: String,
    },
}

pub(crate) fn run(task: &Task) -> Result<ExitCode> {
    let services = open()?;
    match task {
        Task::Up { names } => {
            let failed =
                up(&services, &named(names)?).into_iter().filter_map(|(server, result)| {
                    Some(format!("{}: {:#}", server.name(), result.err()?))
                });
            let failed: Vec<String> = failed.collect();
            print_status(&services)?;
            if !failed.is_empty() {
                bail!("{}", failed.join("\nerror: "));
            }
        }
        Task::Down { names } => {
            for server in named(names)? {
                let existed = services.down(server)?;
                println!("{}: {}", server.name(), if existed { "stopped" } else { "was not up" });
            }
            services.sweep()?;
        }
        Task::Status => print_status(&services)?,
        Task::Kill { name } => {
            services.kill(Server::named(name)?)?;
            print_status(&services)?;
        }
        Task::Restart { name } => {
            services.restart(Server::named(name)?)?;
            print_status(&services)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn open() -> Result<Services> {
    Ok(Services::from_env()?.report(|line| eprintln!("{line}")))
}

/// Side by side: most of a start is waiting.
pub(crate) fn up(
    services: &Services,
    servers: &[&'static Server],
) -> Vec<(&'static Server, Result<bool>)> {
    thread::scope(|scope| {
        let start = |&server| (server, scope.spawn(move || services.up(server)));
        let started: Vec<_> = servers.iter().map(start).collect();
        let finish = |(server, thread): (_, thread::ScopedJoinHandle<Result<bool>>)| {
            let result = thread.join();
            (server, result.unwrap_or_else(|_| bail!("the launcher panicked; please report it")))
        };
        started.into_iter().map(finish).collect()
    })
}

fn named(names: &[String]) -> Result<Vec<&'static Server>> {
    if names.is_empty() {
        return Ok(Server::all().to_vec());
    }
    names.iter().map(|name| Server::named(name)).collect()
}

fn print_status(services: &Services) -> Result<()> {
    for status in services.status()? {
        let state = match status.state {
            State::Down => "down".to_string(),
            State::Dead => "dead".to_string(),
            State::Running { pid } => format!("running, process {pid}"),
        };
        let (name, title) = (status.server.name(), status.server.title());
        println!("{name:14} {title:30} {state:23} {}", status.url.unwrap_or_default());
    }
    println!("addresses: {}", services.addresses().display());
    Ok(())
}
