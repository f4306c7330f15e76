//! Questions to AWS that a step asks one after the other, each only once: what was answered outlives an attempt
//! that does not come to its end.
//!
//! To read 10,000 distributions takes a hundred calls and more, and CloudFront throttles accounts. An attempt
//! that runs out of time, or is told to wait, leaves its answers in the rotation's folder, and the next one goes
//! on from there instead of beginning anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rotation_aws::error::AwsError;
use rotation_aws::s3;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Context;
use crate::lambda::error::StepError;
use rotation_core::plan::state::Folder;

/// Answers that are older than this are not gone on from.
const STALE: SignedDuration = SignedDuration::from_hours(1);

/// Questions and their answers, since the first attempt began.
pub struct Reading<'a> {
    context: &'a Context,
    /// Bucket and key of what an attempt leaves to the next one.
    place: Option<(String, String)>,
    since: Timestamp,
    answers: Mutex<BTreeMap<String, Box<RawValue>>>,
    /// How many of them an earlier attempt has left.
    resumed: usize,
}

/// What an attempt leaves to the next one.
#[derive(Debug, Serialize, Deserialize)]
struct Left {
    since: Timestamp,
    answers: BTreeMap<String, Box<RawValue>>,
}

impl<'a> Reading<'a> {
    /// One that leaves nothing behind.
    pub fn new(context: &'a Context) -> Self {
        let since = (context.now)();
        Self { context, place: None, since, answers: Mutex::default(), resumed: 0 }
    }

    /// One that goes on from where an attempt before this one stopped; `name` says what is read.
    ///
    /// # Errors
    /// What S3 answers.
    pub async fn resume(
        context: &'a Context,
        folder: &Folder,
        name: &str,
    ) -> Result<Self, StepError> {
        let mut reading = Self::new(context);
        let key = folder.key(&format!("reading/{name}.json"));
        let left = s3::find_json::<Left>(context.aws.s3(), &folder.bucket, &key).await?;
        if let Some((left, _)) = left
            && left.since > reading.since - STALE
        {
            reading.since = left.since;
            reading.resumed = left.answers.len();
            reading.answers = Mutex::new(left.answers);
        }
        reading.place = Some((folder.bucket.clone(), key));
        Ok(reading)
    }

    /// When the first of the attempts that this one goes on from began.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// With what to ask.
    pub fn context(&self) -> &'a Context {
        self.context
    }

    /// The answer to this question: the one that is known, or else AWS's.
    ///
    /// # Errors
    /// `Unfinished` when there is no time left to ask, and what AWS answers.
    pub async fn ask<T: Serialize + DeserializeOwned>(
        &self,
        question: String,
        answer: impl Future<Output = Result<T, AwsError>>,
    ) -> Result<T, StepError> {
        let misfit = |error: serde_json::Error| {
            StepError::Internal(format!("the answer to {question:?} cannot be kept: {error}"))
        };
        let known = |answers: &BTreeMap<String, Box<RawValue>>| {
            answers.get(&question).map(|answer| serde_json::from_str(answer.get()))
        };
        if let Some(answer) = self.with(|answers| known(answers)) {
            return answer.map_err(misfit);
        }
        self.on_time()?;
        let answer = answer.await?;
        let kept = serde_json::value::to_raw_value(&answer).map_err(misfit)?;
        self.with(|answers| answers.insert(question, kept));
        Ok(answer)
    }

    /// # Errors
    /// `Unfinished` when there is no time left in this invocation.
    pub fn on_time(&self) -> Result<(), StepError> {
        if self.context.is_time_over() {
            return Err(StepError::Unfinished(self.with(|answers| answers.len())));
        }
        Ok(())
    }

    /// At the end of the step: of one that is to be tried again, leaves the answers for the next attempt; of one
    /// that is done nothing, so that nobody takes them for a fresh look.
    ///
    /// # Errors
    /// The failure of the step; `Unfinished` instead of one that passes, if the attempt got further than the one
    /// before; and what S3 answers.
    pub async fn end<T>(self, result: Result<T, StepError>) -> Result<T, StepError> {
        let Some((bucket, key)) = &self.place else { return result };
        let answers = self.answers.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (count, goes_on) = (answers.len(), result.as_ref().is_err_and(StepError::passes));
        let got_further = goes_on && count > self.resumed;
        if got_further || !goes_on && self.resumed > 0 {
            let answers = if goes_on { answers } else { BTreeMap::new() };
            let left = Left { since: self.since, answers };
            s3::put_json(self.context.aws.s3(), bucket, key, &left).await?;
        }
        match result {
            Err(error) if got_further => {
                tracing::info!(answers = count, "{error} What was read so far is kept.");
                Err(StepError::Unfinished(count))
            }
            result => result,
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<String, Box<RawValue>>) -> T) -> T {
        look(&mut self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
