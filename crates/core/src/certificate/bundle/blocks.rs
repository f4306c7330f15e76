//! The PEM blocks of a source's content, which is JSON or one text.

use pem::PemError;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::certificate::bundle::error::{BundleError, Place};
use crate::redact;

const CERTIFICATE: &str = "certificate";
const PRIVATE_KEY: &str = "privateKey";
const CERTIFICATE_CHAIN: &str = "certificateChain";

pub(super) struct Block {
    pub(super) place: Place,
    pub(super) tag: String,
    pub(super) der: Zeroizing<Vec<u8>>,
}

pub(super) fn json_blocks(text: &str) -> Result<Vec<Block>, BundleError> {
    // Not parsed into a struct: serde's messages quote unexpected values.
    let mut fields: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| BundleError::BrokenJson { line: error.line(), column: error.column() })?;
    // All three are taken out first, so that they are overwritten whichever one is refused.
    let certificate = take_string(&mut fields, CERTIFICATE);
    let private_key = take_string(&mut fields, PRIVATE_KEY);
    let chain = take_string(&mut fields, CERTIFICATE_CHAIN);
    if let Some(field) = fields.keys().next() {
        return Err(BundleError::UnknownField {
            field: redact::field(field).unwrap_or("with a name that is not shown").to_owned(),
        });
    }
    let mut blocks = Vec::new();
    for (field, text) in [
        (CERTIFICATE, certificate?.ok_or(BundleError::MissingField { field: CERTIFICATE })?),
        (PRIVATE_KEY, private_key?.ok_or(BundleError::MissingField { field: PRIVATE_KEY })?),
        (CERTIFICATE_CHAIN, chain?.unwrap_or_default()),
    ] {
        let read = pem_blocks(&text, Some(field))?;
        if read.is_empty() && !(field == CERTIFICATE_CHAIN && text.trim().is_empty()) {
            return Err(BundleError::NoBlock { field });
        }
        blocks.extend(read);
    }
    Ok(blocks)
}

fn take_string(
    fields: &mut Map<String, Value>,
    field: &'static str,
) -> Result<Option<Zeroizing<String>>, BundleError> {
    match fields.remove(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(Zeroizing::new(text))),
        Some(_) => Err(BundleError::NotAString { field }),
    }
}

pub(super) const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// The PEM blocks of a text. Parsed block by block: `pem::parse_many` does not say which block is
/// wrong, and takes a last block without its END for text between blocks.
pub(super) fn pem_blocks(
    text: &str,
    field: Option<&'static str>,
) -> Result<Vec<Block>, BundleError> {
    let begins: Vec<usize> = text.match_indices(BEGIN).map(|(at, _)| at).collect();
    let ends = begins.iter().skip(1).copied().chain([text.len()]);
    let before_first = begins.first().map_or("", |&at| &text[..at]);
    if before_first.contains(END) {
        return Err(BundleError::BrokenArmour { place: Place { field, block: 1 } });
    }
    let pieces = begins.iter().zip(ends).map(|(&begin, end)| &text[begin..end]);
    pieces.enumerate().map(|(i, piece)| pem_block(piece, Place { field, block: i + 1 })).collect()
}

/// Parses one block: a text that starts at BEGIN and contains no second BEGIN.
fn pem_block(piece: &str, place: Place) -> Result<Block, BundleError> {
    let broken_armour = BundleError::BrokenArmour { place };
    let (tag, rest) = piece[BEGIN.len()..].split_once("-----").ok_or(broken_armour.clone())?;
    // Any other tag may be part of the content, which messages must not show.
    let is_tag = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ';
    if tag.len() > 32 || !tag.chars().all(is_tag) {
        return Err(broken_armour);
    }
    let (body, after) = rest.split_once(END).ok_or(broken_armour.clone())?;
    if after.contains(END) {
        return Err(broken_armour);
    }
    if tag == "ENCRYPTED PRIVATE KEY" || body.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(BundleError::EncryptedKey { place });
    }
    match pem::parse(piece) {
        Ok(block) => {
            Ok(Block { place, tag: tag.to_string(), der: Zeroizing::new(block.into_contents()) })
        }
        // `pem` parses lines before a blank line as a header.
        Err(PemError::InvalidData(_) | PemError::InvalidHeader(_)) => {
            Err(BundleError::BrokenBase64 { place })
        }
        Err(_) => Err(broken_armour),
    }
}
