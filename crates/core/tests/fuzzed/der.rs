//! What must hold for a file in DER or BER beside a certificate and its key.

use rotation_core::certificate::bundle::read_files;

/// A self-signed certificate of a server, and its key without its public half.
const CERTIFICATE: &[u8] = include_bytes!("../fixtures/beside.pem");

/// Reads the file alone, beside the certificate, and as what a PKCS#12 file holds; panics if an invariant
/// is violated.
pub(crate) fn check(content: &[u8]) {
    // Its first byte says that it is DER, which other targets try as well.
    let content = [&[0x30], content].concat();
    for files in [&[&content[..]][..], &[CERTIFICATE, &content], &[&content, CERTIFICATE]] {
        let mut open = |file: &[u8]| Some(vec![file.to_vec().into(), content.clone().into()]);
        match read_files(files.iter().copied(), &mut open) {
            Ok(bundle) => {
                let texts = [bundle.leaf.to_pem(), bundle.key.to_pem().to_string()];
                let again = read_files(texts.iter().map(|text| text.as_bytes()), &mut |_| None)
                    .expect("what was read once is read again");
                assert_eq!(again.leaf, bundle.leaf);
                assert_eq!(*again.key.to_pem(), *bundle.key.to_pem());
            }
            Err(error) => {
                let message = format!("{error} {} {error:?}", error.finding());
                assert!(
                    message.len() < 2_000 && !message.contains("-----BEGIN PRIVATE"),
                    "{message}"
                );
            }
        }
    }
}
