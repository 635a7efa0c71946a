//! The measurements `stub`, `sql`, `kafka`, `mongodb`, `nats`, `rabbitmq`, `redis` and `setup`.

mod bare;
mod kafka;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
#[cfg(feature = "redis")]
mod redis;
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
        #[cfg(feature = "mongodb")]
        [CHILD, mongodb::NAME, who, rows, calls] => {
            mongodb::child(who, rows.parse()?, calls.parse()?)?;
        }
        #[cfg(feature = "rabbitmq")]
        [CHILD, rabbitmq::NAME, who, state, step, rounds] => {
            rabbitmq::child(who, state, step, rounds.parse()?)?;
        }
        #[cfg(feature = "redis")]
        [CHILD, redis::NAME, who, state, call, calls] => {
            redis::child(who, state, call, calls.parse()?);
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
            #[cfg(feature = "mongodb")]
            if bench::wanted(mongodb::NAME, &arguments)? {
                mongodb::measure()?;
            }
            #[cfg(feature = "nats")]
            if bench::wanted(nats::NAME, &arguments)? {
                nats::measure()?;
            }
            #[cfg(feature = "rabbitmq")]
            if bench::wanted(rabbitmq::NAME, &arguments)? {
                rabbitmq::measure()?;
            }
            #[cfg(feature = "redis")]
            if bench::wanted(redis::NAME, &arguments)? {
                redis::measure()?;
            }
            #[cfg(feature = "setup")]
            if bench::wanted(setup::NAME, &arguments)? {
                setup::measure()?;
            }
        }
    }
    Ok(())
}
