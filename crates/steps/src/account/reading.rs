//! Reads of a step that survive a failed attempt: each page is read once, and a retry resumes from
//! the pages that were read before.
//!
//! Reading 10,000 distributions takes a hundred calls and more, and CloudFront throttles accounts.
//! An attempt that runs out of time or is throttled stores its responses in the rotation's folder,
//! and the next attempt resumes there.

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

/// Stored responses older than this are ignored.
const STALE: SignedDuration = SignedDuration::from_hours(1);

/// The responses so far, since the first attempt began.
pub struct Reading<'a> {
    context: &'a Context,
    /// Bucket and key of the object that stores the responses for the next attempt.
    place: Option<(String, String)>,
    since: Timestamp,
    answers: Mutex<BTreeMap<String, Box<RawValue>>>,
    /// How many responses an earlier attempt stored.
    resumed: usize,
}

/// The stored responses.
#[derive(Debug, Serialize, Deserialize)]
struct Left {
    since: Timestamp,
    answers: BTreeMap<String, Box<RawValue>>,
}

impl<'a> Reading<'a> {
    /// A reading that stores nothing.
    pub fn new(context: &'a Context) -> Self {
        let since = (context.now)();
        Self { context, place: None, since, answers: Mutex::default(), resumed: 0 }
    }

    /// A reading that resumes where an earlier attempt stopped. `name` names what is read.
    ///
    /// # Errors
    /// Errors of S3 calls.
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

    /// When the first of the resumed attempts began.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// The context that the calls are made with.
    pub fn context(&self) -> &'a Context {
        self.context
    }

    /// Returns the stored response to this question, or makes the call and keeps its response.
    ///
    /// # Errors
    /// `Unfinished` when no time is left for a call, and errors of AWS calls.
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

    /// Checks that there is time left in this invocation.
    ///
    /// # Errors
    /// `Unfinished` when there is not.
    pub fn on_time(&self) -> Result<(), StepError> {
        if self.context.is_time_over() {
            return Err(StepError::Unfinished(self.with(|answers| answers.len())));
        }
        Ok(())
    }

    /// Ends the step. If the step will be retried, stores the responses for the next attempt; if it
    /// is done, clears them, so that no later attempt uses them as fresh.
    ///
    /// # Errors
    /// The error of the step; `Unfinished` in place of a transient error if this attempt read more
    /// than the one before; and errors of S3 calls.
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
