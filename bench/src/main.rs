//! The measurements `stub`, `sql`, `kafka`, `nats` and `setup`.

mod bare;
mod kafka;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "setup")]
mod setup;
mod sql;
mod stub;

use std::env;

use anyhow::Result;
use bench::CHILD;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [CHILD, stub::NAME, who, state, calls] => stub::child(who, state, calls.parse()?),
        [CHILD, sql::NAME, ref case @ .., calls] => sql::child(case, calls.parse()?)?,
        [CHILD, kafka::NAME, who, ref case @ .., calls] => {
            kafka::child(who, case, calls.parse()?)?;
        }
        #[cfg(feature = "setup")]
        [CHILD, setup::NAME, "burst", rate] => setup::child(Some(rate))?,
        #[cfg(feature = "setup")]
        [CHILD, setup::NAME, _] => setup::child(None)?,
        _ => {
            if bench::wanted(stub::NAME, &arguments)? {
                stub::measure()?;
            }
            if bench::wanted(sql::NAME, &arguments)? {
                sql::measure()?;
            }
            if bench::wanted(kafka::NAME, &arguments)? {
                kafka::measure()?;
            }
            #[cfg(feature = "nats")]
            if bench::wanted(nats::NAME, &arguments)? {
                nats::measure()?;
            }
            #[cfg(feature = "setup")]
            if bench::wanted(setup::NAME, &arguments)? {
                setup::measure()?;
            }
        }
    }
    Ok(())
}
