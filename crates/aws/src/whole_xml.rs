//! Rejects incomplete XML responses.
//!
//! The SDK's XML parser treats a document that ends early as complete, with what it has read by
//! then. HTTP mostly detects a broken response, but a proxy or a faulty server may cut it off
//! cleanly, and half of a list of distributions must not pass as the whole list.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextMut;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use quick_xml::Reader;
use quick_xml::events::Event;

/// Interceptor for the clients of services with XML responses. A rejected response counts as a
/// parse error: the SDK retries, and after that the error is `Unavailable`.
#[derive(Debug)]
pub(crate) struct WholeXml;

impl Intercept for WholeXml {
    fn name(&self) -> &'static str {
        "WholeXml"
    }

    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Bodies that are read as a stream, such as S3 objects, are not checked.
        let body = context.response().and_then(|response| response.body().bytes());
        let is_broken = body.is_some_and(|body| body.starts_with(b"<") && !is_whole(body));
        if let (true, Some(result)) = (is_broken, context.output_or_error_mut()) {
            *result = Err(OrchestratorError::response("the XML response is truncated".into()));
        }
        Ok(())
    }
}

/// Is every opened element closed?
fn is_whole(xml: &[u8]) -> bool {
    let mut reader = Reader::from_reader(xml);
    let mut depth = 0_usize;
    let mut buffer = Vec::new();
    loop {
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Start(_)) => depth += 1,
            Ok(Event::End(_)) => depth -= 1,
            Ok(Event::Eof) => return depth == 0,
            Ok(_) => {}
            Err(_) => return false,
        }
        buffer.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_documents_are_rejected() {
        let xml = "<?xml version=\"1.0\"?>\n<List a=\"1\"><Item>x &amp; y</Item><Empty/><!-- c --></List>";
        assert!(is_whole(xml.as_bytes()));
        assert!(is_whole(format!("{xml}\n").as_bytes()));
        let root = xml.find("<List").expect("a root");
        for end in root + 1..xml.len() {
            assert!(!is_whole(&xml.as_bytes()[..end]), "{}", &xml[..end]);
        }
        assert!(!is_whole(b"<a></b>"));
    }
}
