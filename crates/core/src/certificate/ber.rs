//! The elements of ASN.1 in BER, of which DER is a part: PKCS#7 and PKCS#12 files are often BER.
//!
//! `asn1-rs`, which `x509-parser` is built on, reads them one by one. Types for whole structures, as in
//! the crates `pkcs8`, `sec1` and `cms`, accept only DER, and what OpenSSL reads is more: keys without
//! their parameters, files of indefinite length, values in pieces. They would also double what a
//! function links for ASN.1, and the functions have little room left for it.

use x509_parser::asn1_rs::{Any, Class, FromBer, Header, Length, Oid, Tag, ToDer};
use zeroize::Zeroizing;

/// No program nests values in pieces, or the parts of a key, deeper than this.
const MAX_DEPTH: usize = 8;

/// One element.
#[derive(Clone, Debug)]
pub struct Element<'a>(Any<'a>);

impl<'a> Element<'a> {
    /// The element that a text of bytes is; `None` if it is none, or if more follows than blanks, which
    /// programs append to a file.
    pub fn whole(bytes: &'a [u8]) -> Option<Self> {
        let (rest, element) = Self::first(bytes)?;
        let is_blank = |byte: &u8| matches!(byte, 0 | b'\n' | b'\r' | b' ' | b'\t' | 0x1a);
        rest.iter().all(is_blank).then_some(element)
    }

    /// The first element, and what follows.
    pub fn first(bytes: &'a [u8]) -> Option<(&'a [u8], Self)> {
        let (rest, any) = Any::from_ber(bytes).ok()?;
        Some((rest, Self(any)))
    }

    /// The elements in it; `None` if it is not constructed.
    pub fn children(&self) -> Option<Vec<Self>> {
        if !self.0.header.is_constructed() {
            return None;
        }
        let (mut rest, mut children) = (self.0.data, Vec::new());
        while !rest.is_empty() {
            let (after, child) = Self::first(rest)?;
            children.push(child);
            rest = after;
        }
        Some(children)
    }

    /// The elements of a SEQUENCE.
    pub fn sequence(&self) -> Option<Vec<Self>> {
        self.is(Tag::Sequence).then(|| self.children()).flatten()
    }

    /// The elements of a SET.
    pub fn set(&self) -> Option<Vec<Self>> {
        self.is(Tag::Set).then(|| self.children()).flatten()
    }

    /// The bytes of an INTEGER, without a zero for its sign.
    pub fn integer(&self) -> Option<&'a [u8]> {
        let is_integer = self.is(Tag::Integer) && !self.0.data.is_empty();
        is_integer.then(|| without_zeros(self.0.data))
    }

    /// An INTEGER that fits into 32 bits.
    pub fn small(&self) -> Option<u32> {
        let bytes = self.integer().filter(|bytes| bytes.len() <= 4)?;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    /// An OBJECT IDENTIFIER in its dotted form.
    pub fn oid(&self) -> Option<String> {
        let is_oid = self.is(Tag::Oid);
        is_oid.then(|| Oid::new(self.0.data.into()).to_id_string())
    }

    /// The value of an OCTET STRING, put together if it is in pieces.
    pub fn octets(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.is(Tag::OctetString).then(|| self.implicit_octets()).flatten()
    }

    /// The same for one whose tag is another one, by IMPLICIT.
    pub fn implicit_octets(&self) -> Option<Zeroizing<Vec<u8>>> {
        // Large enough at once: a vector that grows leaves copies behind.
        let mut value = Zeroizing::new(Vec::with_capacity(self.0.data.len()));
        self.collect(&mut value, MAX_DEPTH).then_some(value)
    }

    fn collect(&self, value: &mut Vec<u8>, depth: usize) -> bool {
        if !self.0.header.is_constructed() {
            value.extend_from_slice(self.0.data);
            return true;
        }
        let Some(pieces) = self.children().filter(|_| depth > 0) else { return false };
        pieces.iter().all(|piece| piece.is(Tag::OctetString) && piece.collect(value, depth - 1))
    }

    /// The value of a BIT STRING of whole bytes.
    pub fn bits(&self) -> Option<&'a [u8]> {
        match self.0.data {
            [0, value @ ..] if self.is(Tag::BitString) => Some(value),
            _ => None,
        }
    }

    /// Is it NULL?
    pub fn is_null(&self) -> bool {
        self.is(Tag::Null) && self.0.data.is_empty()
    }

    /// Has it this context-specific tag?
    pub fn is_context(&self, tag: u32) -> bool {
        self.0.class() == Class::ContextSpecific && self.0.tag() == Tag(tag)
    }

    fn der(&self, depth: usize) -> Option<Zeroizing<Vec<u8>>> {
        let is_in_pieces = self.is(Tag::OctetString) && self.0.header.is_constructed();
        let is_constructed = self.0.header.is_constructed() && !is_in_pieces;
        let content = if is_in_pieces {
            self.octets()?
        } else if is_constructed {
            let mut content = Zeroizing::new(Vec::with_capacity(self.0.data.len()));
            for child in self.children().filter(|_| depth > 0)? {
                content.extend_from_slice(&child.der(depth - 1)?);
            }
            content
        } else {
            // The zero before a number whose first bit is 1 is needed.
            let is_needless = |two: &&[u8]| two[0] == 0 && two[1] < 0x80;
            let zeros = match self.is(Tag::Integer) {
                true => self.0.data.windows(2).take_while(is_needless).count(),
                false => 0,
            };
            Zeroizing::new(self.0.data[zeros..].to_vec())
        };
        let length = Length::Definite(content.len());
        let header = Header::new(self.0.class(), is_constructed, self.0.tag(), length);
        let header = header.to_der_vec().ok()?;
        Some(Zeroizing::new([&header[..], &content].concat()))
    }

    /// Its content, as it is encoded.
    pub fn content(&self) -> &'a [u8] {
        self.0.data
    }

    /// Is it a SEQUENCE?
    pub fn is_sequence(&self) -> bool {
        self.is(Tag::Sequence)
    }

    fn is(&self, tag: Tag) -> bool {
        let has_form = match tag {
            Tag::Sequence | Tag::Set => self.0.header.is_constructed(),
            // One that is long may be in pieces.
            Tag::OctetString => true,
            _ => !self.0.header.is_constructed(),
        };
        self.0.class() == Class::Universal && self.0.tag() == tag && has_form
    }
}

/// The elements one after the other, each with its encoding.
pub fn encodings(content: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut rest, mut all) = (content, Vec::new());
    while !rest.is_empty() {
        let (after, _) = Element::first(rest)?;
        all.push(&rest[..rest.len() - after.len()]);
        rest = after;
    }
    Some(all)
}

/// The element that a text of bytes is, in DER: each length in its shortest form, strings of bytes in one
/// piece, numbers without needless zeros. What an OCTET STRING or a BIT STRING encloses stays as it is.
pub fn to_der(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    Element::whole(bytes)?.der(MAX_DEPTH)
}

/// A number without leading zeros.
pub(crate) fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}
