//! Reads what all gateways together have used for a caller.

use redis::RedisResult;
use tokio::time::timeout;

use super::request::{Names, Period};
use super::{CALL_TIMEOUT, Store, lock};

/// What a caller has used, as the fields of its windows: `calls`, `tokens`, `images`, `cost` (in billionths of a dollar),
/// and the same of each model as `model/NAME/FIELD`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub day: Vec<(String, u64)>,
    pub month: Vec<(String, u64)>,
}

/// The store does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away;

impl Store {
    /// What the caller with this name has used today and in this month, by the store's clock.
    ///
    /// # Errors
    ///
    /// The store does not answer.
    pub async fn usage(&self, caller: &str) -> Result<Usage, Away> {
        let mut connection = lock(&self.inner.connection).clone().ok_or(Away)?;
        let (names, today) = (Names::new(&self.inner.prefix, caller, &self.inner.pod), self.inner.state.today());
        let [day, month] = [Period::Day, Period::Month].map(|period| names.window(period, today));
        let reading = async {
            let mut windows = Vec::new();
            for window in [day, month] {
                let fields = connection.query(redis::cmd("HGETALL").arg(&*window)).await?;
                windows.push(redis::from_redis_value::<Vec<(String, u64)>>(fields)?);
            }
            RedisResult::Ok(windows)
        };
        let mut windows = timeout(CALL_TIMEOUT * 2, reading).await.map_err(|_| Away)?.map_err(|_| Away)?.into_iter();
        Ok(Usage { day: windows.next().unwrap_or_default(), month: windows.next().unwrap_or_default() })
    }
}
