//! The PEM blocks of a text (RFC 7468), as people paste them: with blanks or the characters `\n` instead
//! of line breaks, indented, or without any line break.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// One block, by its position in the text.
pub(super) struct Block {
    /// The label after BEGIN.
    pub(super) label: String,
    /// What is between BEGIN and END.
    pub(super) body: Body,
}

/// What is between BEGIN and END.
pub(super) enum Body {
    /// The decoded base64.
    Der(Zeroizing<Vec<u8>>),
    /// The encryption of OpenSSL's old format: RFC 1421, section 4.6.1.1.
    Encrypted,
    /// Anything else.
    NotBase64,
}

pub(super) const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// The blocks of a text, each an error where BEGIN and END do not match. Parsed block by block: `pem`
/// does not say which block is wrong, takes a last block without its END for text between blocks, and
/// demands line breaks.
pub(super) fn blocks(text: &str) -> Vec<Option<Block>> {
    let begins: Vec<usize> = text.match_indices(BEGIN).map(|(at, _)| at).collect();
    let ends = begins.iter().skip(1).copied().chain([text.len()]);
    let before_first = begins.first().map_or(text, |&at| &text[..at]);
    let lost_begin = before_first.contains(END).then_some(None);
    let pieces = begins.iter().zip(ends).map(|(&begin, end)| block(&text[begin..end]));
    lost_begin.into_iter().chain(pieces).collect()
}

/// Parses one block: a text that starts at BEGIN and contains no second BEGIN.
fn block(piece: &str) -> Option<Block> {
    let (label, rest) = piece[BEGIN.len()..].split_once("-----")?;
    // Any other label may be part of the content, which messages must not show.
    let is_label =
        |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, ' ' | '.' | '#');
    if label.is_empty() || label.len() > 32 || !label.chars().all(is_label) {
        return None;
    }
    let (body, after) = rest.split_once(END)?;
    let end = after.strip_prefix(label)?;
    if !end.starts_with("-----") || after.contains(END) {
        return None;
    }
    Some(Block { label: label.to_owned(), body: self::body(body) })
}

fn body(text: &str) -> Body {
    if text.contains("Proc-Type:") && text.contains("ENCRYPTED") {
        return Body::Encrypted;
    }
    // Headers (RFC 1421) end with a blank line, and OpenSSL skips them; base64 has no colon.
    let base64 = match text.contains(':') {
        true => text.replace('\r', "").split_once("\n\n").map(|(_, rest)| rest.to_owned()),
        false => Some(text.to_owned()),
    };
    match base64.map(Zeroizing::new).and_then(|base64| decode(&base64)) {
        Some(der) => Body::Der(der),
        None => Body::NotBase64,
    }
}

/// Decodes base64 with anything between its characters that shows as a blank, and with the characters
/// `\n` or `\r`, which programs write instead of a line break. `None` if it is not base64 or empty.
pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // Without padding, as some programs write it. What is cut off then is seen by its length in DER.
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' => {
                while characters.next_if_eq(&'\\').is_some() {}
                characters.next_if(|c| matches!(c, 'n' | 'r' | 't'))?;
            }
            c if is_blank(c) => {}
            c => base64.push(c),
        }
    }
    let decoded = GeneralPurpose::new(&STANDARD, LENIENT).decode(base64.as_bytes()).ok()?;
    (!decoded.is_empty()).then(|| Zeroizing::new(decoded))
}

/// Whether it shows as a blank or as nothing: programs put such characters into what is copied.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}')
}

/// Whether the dashes around a BEGIN or END are not the five hyphens they should be: word processors
/// and mail programs change them.
pub(super) fn has_changed_dashes(text: &str) -> bool {
    // U+0096 and U+0097 are the dashes of Windows' code page.
    let is_dash = |c: char| {
        matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{96}' | '\u{97}' | '\u{ad}')
    };
    ["BEGIN ", "END "].iter().any(|word| {
        text.match_indices(word).any(|(at, _)| {
            let before = text[..at].trim_end_matches(' ');
            let label: &str = &text[at + word.len()..];
            let label = label.split(|c: char| is_dash(c) || c == '\n').next().unwrap_or_default();
            let after = &text[at + word.len() + label.len()..];
            let is_whole = text[..at].ends_with("-----")
                && !label.ends_with(' ')
                && after.starts_with("-----");
            before.ends_with(is_dash) && label.len() < 40 && after.starts_with(is_dash) && !is_whole
        })
    })
}
