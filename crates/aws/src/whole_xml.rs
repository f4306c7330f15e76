//! Refuses an XML answer that is not whole.
//!
//! The SDK's reader of XML takes a document that ends early for a complete one, with whatever it had read
//! by then. HTTP mostly tells of a broken answer, but a proxy or a faulty server may cut it cleanly, and half
//! a list of distributions must not pass for the list.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextMut;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use quick_xml::Reader;
use quick_xml::events::Event;

/// For the clients of services that answer in XML. What it refuses is an answer that could not be
/// understood: the SDK tries again, and after that it is `Unavailable`.
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
        // A body that is read as a stream, as objects are, is none of this one's business.
        let body = context.response().and_then(|response| response.body().bytes());
        let is_broken = body.is_some_and(|body| body.starts_with(b"<") && !is_whole(body));
        if let (true, Some(result)) = (is_broken, context.output_or_error_mut()) {
            *result = Err(OrchestratorError::response("the XML response is truncated".into()));
        }
        Ok(())
    }
}

/// Is every element closed that was opened?
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
    fn every_proper_part_of_a_document_is_refused() {
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
