//! What OpenSSL understands of files, for a person who tries each of its readers on each of them.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::marker::PhantomData;
use std::ptr;

use foreign_types::ForeignType;
use openssl::error::ErrorStack;
use openssl::pkcs7::Pkcs7;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::x509::{X509, X509Ref};
use rotation_core::certificate::ber::Element;

/// What was found, in the order of the files.
#[derive(Default)]
pub(crate) struct Reading {
    pub(crate) certificates: Vec<X509>,
    pub(crate) keys: Vec<PKey<Private>>,
    pub(crate) facts: BTreeSet<Fact>,
}

/// What a person who uses OpenSSL is not told, or is told as an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fact {
    /// Something in it is an error for OpenSSL: it has not read the whole.
    Broken,
    /// Broken, and it is the lines around a block or the base64 between them.
    Armour,
    /// Broken, and it is a value that OpenSSL reads under another label.
    Label,
    /// Broken, and it is a value that OpenSSL does not read under any label.
    Value,
    /// A block with a label that its readers of certificates and keys pass over.
    OtherBlock,
    /// Bytes after a value in DER, which it ignores.
    AfterValue,
    /// A certificate that is not in DER.
    Ber,
    /// A version or a parameter that is none of its standard, or what is no BER.
    Form,
    /// More lines with BEGIN or END than it has found blocks.
    Unseen,
    /// It was in base64.
    Base64,
    /// It is PKCS#12.
    Pkcs12,
}

impl Reading {
    pub(crate) fn of(files: &[Vec<u8>], password: &str) -> Self {
        let mut reading = Self::default();
        for file in files {
            reading.file(file, password, true);
        }
        // Errors of one reader must not be taken for those of the next one.
        ErrorStack::get();
        reading
    }

    /// The one key, if there is one, and its certificates, each once.
    pub(crate) fn pair(&self) -> Option<(&PKey<Private>, Vec<&X509Ref>)> {
        let key =
            self.keys.first().filter(|key| self.keys.iter().all(|other| other.public_eq(key)))?;
        let mut own: Vec<&X509Ref> = Vec::new();
        for certificate in self.certificates.iter().filter(|it| belongs(it, key)) {
            if !own.iter().any(|other| same(other, certificate)) {
                own.push(certificate);
            }
        }
        (!own.is_empty()).then_some((key, own))
    }

    fn file(&mut self, file: &[u8], password: &str, may_be_base64: bool) {
        let before = self.certificates.len() + self.keys.len();
        if file.first() == Some(&0x30) {
            self.der(file, password);
        } else {
            self.pem(file);
        }
        if self.certificates.len() + self.keys.len() > before
            || file.iter().all(u8::is_ascii_whitespace)
        {
            return;
        }
        let decoded = [false, true].map(|in_one_line| base64(file, in_one_line));
        match decoded.into_iter().find(|decoded| decoded.len() > 100).filter(|_| may_be_base64) {
            Some(decoded) => {
                self.facts.remove(&Fact::Unseen);
                self.facts.insert(Fact::Base64);
                self.file(&decoded, password, false);
            }
            None => drop(self.facts.insert(Fact::Broken)),
        }
    }

    fn der(&mut self, der: &[u8], password: &str) {
        if let Some(certificate) = certificate_with_trust(der) {
            self.add([certificate], der);
            self.after(der, true);
            return;
        }
        self.after(der, false);
        if let Ok(certificate) = X509::from_der(der) {
            self.add([certificate], der);
        } else if let Ok(key) = PKey::private_key_from_der(der) {
            self.keys.push(key);
            self.version(der);
        } else if !self.pkcs7(der) && !self.pkcs12(der, password) {
            self.facts.extend([Fact::Broken, Fact::Value]);
        }
    }

    /// Keeps certificates that were found in these bytes, which may be encrypted.
    fn add(&mut self, certificates: impl IntoIterator<Item = X509>, der: &[u8]) {
        for certificate in certificates {
            let own = certificate.to_der().expect("a certificate in DER");
            if !der.windows(own.len()).any(|part| part == own) {
                self.facts.insert(Fact::Ber);
            }
            self.certificates.push(certificate);
        }
    }

    fn version(&mut self, der: &[u8]) {
        let parts = Element::first(der).and_then(|(_, value)| value.sequence()).unwrap_or_default();
        let [version, second, ..] = &parts[..] else { return };
        let is_pkcs12 = || {
            second.sequence().is_some_and(|info| {
                info.first()
                    .and_then(Element::oid)
                    .is_some_and(|oid| oid.starts_with("1.2.840.113549.1.7."))
            })
        };
        let is_known = match version.integer() {
            Some(version) if second.octets().is_some() => version == [1],
            Some(version) if is_pkcs12() => version == [3],
            Some(version) => matches!(version, [] | [1]),
            None => false,
        };
        let is_odd = |number: &Element<'_>| number.integer().is_none();
        let is_in_pieces = second.is_sequence()
            && !is_pkcs12()
            && parts.get(2).is_some_and(|key| key.octets().is_none());
        if !is_known || is_in_pieces || parts.len() >= 9 && parts[..9].iter().any(is_odd) {
            self.facts.insert(Fact::Form);
        }
        // What PKCS#8 encloses has its own.
        if let Some(key) = parts.get(2).and_then(Element::octets).filter(|_| second.is_sequence()) {
            self.version(&key);
        }
    }

    fn pkcs7(&mut self, der: &[u8]) -> bool {
        let mut at = der.as_ptr();
        // SAFETY: the bytes are alive; the result is a new object or null.
        let pkcs7 = unsafe {
            let pkcs7 = openssl_sys::d2i_PKCS7(ptr::null_mut(), &mut at, der.len() as c_long);
            if pkcs7.is_null() {
                return false;
            }
            Pkcs7::from_ptr(pkcs7)
        };
        let certificates = pkcs7.signed().and_then(|signed| signed.certificates());
        self.add(certificates.iter().flat_map(|all| all.iter()).map(|one| one.to_owned()), der);
        certificates.is_some()
    }

    fn pkcs12(&mut self, der: &[u8], password: &str) -> bool {
        let Ok(pfx) = Pkcs12::from_der(der) else { return false };
        self.facts.insert(Fact::Pkcs12);
        // The function of a key derivation has no parameters but NULL: RFC 8018, appendix B.1.
        let is_odd = |it: &[u8]| it.starts_with(HMAC) && it[HMAC.len() + 1..] != [5, 0];
        if der.windows(HMAC.len() + 3).any(is_odd) || safe_contents(der).is_none() {
            self.facts.insert(Fact::Form);
        }
        self.version(der);
        let text = CString::new(password).unwrap();
        let parse = |password: *const c_char| {
            let (mut key, mut own, mut others) =
                (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            // SAFETY: all arguments are alive; what is returned are new objects or null.
            unsafe {
                let is_open = openssl_sys::PKCS12_parse(
                    pfx.as_ptr(),
                    password,
                    &mut key,
                    &mut own,
                    &mut others,
                );
                let key = (!key.is_null()).then(|| PKey::<Private>::from_ptr(key));
                let own = (!own.is_null()).then(|| X509::from_ptr(own));
                let others = (!others.is_null()).then(|| Stack::<X509>::from_ptr(others));
                (is_open == 1).then_some((key, own, others))
            }
        };
        let opened =
            parse(text.as_ptr()).or_else(|| parse(ptr::null()).filter(|_| password.is_empty()));
        let Some((key, own, others)) = opened else { return false };
        self.keys.extend(key);
        self.add(own, der);
        self.add(others.into_iter().flatten(), der);
        true
    }

    fn pem(&mut self, text: &[u8]) {
        let bio = Memory::of(text);
        let mut blocks = 0;
        loop {
            ErrorStack::get();
            match next_block(&bio) {
                Some((label, header, der)) => self.block(&label, &header, &der),
                None => break,
            }
            blocks += 1;
        }
        let errors = ErrorStack::get();
        if !errors.errors().iter().any(|error| error.reason_code() == NO_START_LINE) {
            self.facts.extend([Fact::Broken, Fact::Armour]);
        }
        let text = String::from_utf8_lossy(text);
        let begins = text.matches("BEGIN ").count().max(text.matches("END ").count());
        // To OpenSSL a label ends at a zero.
        if begins > blocks || text.contains("\0-----") {
            self.facts.insert(Fact::Unseen);
        }
    }

    /// One block, in OpenSSL's own layout: the layout of the file is its reader's affair.
    fn block(&mut self, label: &str, header: &str, der: &[u8]) {
        let pem = pem_with_header(label, header, der);
        let read = match label {
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
                let certificate = X509::from_pem(&pem).ok().or_else(|| trusted(&pem));
                let is_read = certificate.is_some();
                self.add(certificate, der);
                is_read || header.is_empty() && label == "CERTIFICATE" && self.pkcs7(der)
            }
            "PKCS7" | "PKCS #7 SIGNED DATA" | "CMS" => header.is_empty() && self.pkcs7(der),
            label if label.ends_with("PRIVATE KEY") && label != "OPENSSH PRIVATE KEY" => {
                let key = PKey::private_key_from_pem_passphrase(&pem, b"").ok();
                let is_read = key.is_some();
                self.keys.extend(key);
                self.version(der);
                is_read
            }
            _ => {
                self.facts.insert(Fact::OtherBlock);
                return;
            }
        };
        if !read {
            let mut by_content = Self::default();
            by_content.der(der, "");
            let is_label = header.is_empty() && !by_content.facts.contains(&Fact::Broken);
            self.facts.extend([Fact::Broken, if is_label { Fact::Label } else { Fact::Value }]);
        } else {
            self.after(der, label == "TRUSTED CERTIFICATE");
        }
    }

    /// Bytes after the value, and after the trust that may follow a certificate.
    fn after(&mut self, der: &[u8], may_be_trust: bool) {
        let trust = Element::first(der).map_or(&b""[..], |(rest, _)| rest);
        let has_more = if may_be_trust && !trust.is_empty() {
            Element::first(trust).is_none_or(|(rest, _)| !rest.is_empty())
        } else {
            has_more(der)
        };
        if has_more {
            self.facts.insert(Fact::AfterValue);
        }
    }
}

/// Whether bytes follow the value, or a value that it encloses in a string of bytes.
fn has_more(bytes: &[u8]) -> bool {
    let encloses = |element: &Element<'_>| {
        let octets = element.octets();
        let is_value = |it: &&[u8]| {
            Element::first(it)
                .is_some_and(|(_, first)| first.sequence().is_some_and(|all| !all.is_empty()))
        };
        octets.as_ref().map(|it| &it[..]).filter(is_value).is_some_and(has_more)
    };
    fn any(element: &Element<'_>, is_found: &dyn Fn(&Element<'_>) -> bool) -> bool {
        is_found(element)
            || element.children().is_some_and(|all| all.iter().any(|it| any(it, is_found)))
    }
    Element::first(bytes)
        .is_some_and(|(_, first)| Element::whole(bytes).is_none() || any(&first, &encloses))
}

/// Walks through the parts of PKCS#12 that are not encrypted, as far as they are BER. OpenSSL also joins pieces of
/// another kind, and takes a primitive SEQUENCE.
fn safe_contents(der: &[u8]) -> Option<()> {
    let (_, file) = Element::first(der)?;
    let safe = file.sequence()?.get(1)?.sequence()?.get(1)?.children()?.pop()?.octets()?;
    for info in Element::first(&safe)?.1.sequence()? {
        let content = info.sequence()?.get(1)?.children()?.pop()?;
        match content.octets() {
            Some(bags) => drop(Element::first(&bags)?.1.sequence()?),
            None => drop(content.sequence()?),
        }
    }
    Some(())
}

/// Whether the certificate is for this key: what `X509_check_private_key` compares.
pub(crate) fn belongs(certificate: &X509Ref, key: &PKey<Private>) -> bool {
    certificate.public_key().is_ok_and(|public| public.public_eq(key))
}

/// Whether both say the same: the encoding around what is signed may differ.
pub(crate) fn same(one: &X509Ref, two: &X509Ref) -> bool {
    one.to_der().ok() == two.to_der().ok()
}

/// Whether all numbers of the key agree, as `openssl pkey -check` sees it.
pub(crate) fn is_sound(key: &PKey<Private>) -> bool {
    // SAFETY: the key is alive, and the context is freed.
    unsafe {
        let context = openssl_sys::EVP_PKEY_CTX_new(key.as_ptr(), ptr::null_mut());
        let is_sound = EVP_PKEY_check(context.cast()) == 1;
        openssl_sys::EVP_PKEY_CTX_free(context);
        is_sound
    }
}

/// The object identifiers of HMAC, but for their last byte.
const HMAC: &[u8] = b"\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02";

const NO_START_LINE: c_int = 108;

fn next_block(bio: &Memory<'_>) -> Option<(String, String, Vec<u8>)> {
    let (mut label, mut header, mut data, mut length) =
        (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0);
    // SAFETY: after a return of 1 the three are memory of OpenSSL, which is copied and freed.
    unsafe {
        if PEM_read_bio(bio.0, &mut label, &mut header, &mut data, &mut length) != 1 {
            return None;
        }
        let text = |at: *const c_char| CStr::from_ptr(at).to_string_lossy().into_owned();
        let block =
            (text(label), text(header), std::slice::from_raw_parts(data, length as usize).to_vec());
        for memory in [label.cast::<c_void>(), header.cast(), data.cast()] {
            CRYPTO_free(memory, c"".as_ptr(), 0);
        }
        Some(block)
    }
}

fn pem_with_header(label: &str, header: &str, der: &[u8]) -> Vec<u8> {
    let pem = String::from_utf8(crate::seeds::pem(label, der)).unwrap();
    match header {
        "" => pem.into(),
        header => pem.replacen('\n', &format!("\n{header}\n"), 1).into(),
    }
}

fn trusted(pem: &[u8]) -> Option<X509> {
    let bio = Memory::of(pem);
    // SAFETY: the memory is alive; the result is a new object or null.
    unsafe {
        let certificate =
            PEM_read_bio_X509_AUX(bio.0, ptr::null_mut(), ptr::null(), ptr::null_mut());
        (!certificate.is_null()).then(|| X509::from_ptr(certificate.cast()))
    }
}

fn certificate_with_trust(der: &[u8]) -> Option<X509> {
    let mut at = der.as_ptr();
    // SAFETY: the bytes are alive; the result is a new object or null.
    unsafe {
        let certificate = d2i_X509_AUX(ptr::null_mut(), &mut at, der.len() as c_long);
        (!certificate.is_null()).then(|| X509::from_ptr(certificate.cast()))
    }
}

/// What `openssl base64 -d` makes of it, with -A or without.
fn base64(text: &[u8], in_one_line: bool) -> Vec<u8> {
    let bio = Memory::of(text);
    let mut decoded = vec![0; text.len()];
    // SAFETY: both objects are alive until the filter alone is freed; it is given the length of the buffer.
    unsafe {
        let filter = BIO_new(BIO_f_base64());
        if in_one_line {
            BIO_set_flags(filter, 0x100);
        }
        BIO_push(filter, bio.0);
        let length = BIO_read(filter, decoded.as_mut_ptr().cast(), decoded.len() as c_int);
        BIO_pop(filter);
        BIO_free(filter);
        decoded.truncate(usize::try_from(length).unwrap_or(0));
    }
    decoded
}

/// Bytes that OpenSSL reads as a file.
struct Memory<'a>(*mut c_void, PhantomData<&'a [u8]>);

impl<'a> Memory<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        // SAFETY: the bytes outlive the object.
        Self(unsafe { BIO_new_mem_buf(bytes.as_ptr().cast(), bytes.len() as c_int) }, PhantomData)
    }
}

impl Drop for Memory<'_> {
    fn drop(&mut self) {
        // SAFETY: nothing else frees it.
        unsafe { BIO_free(self.0) };
    }
}

unsafe extern "C" {
    fn BIO_new_mem_buf(bytes: *const c_void, length: c_int) -> *mut c_void;
    fn PEM_read_bio(
        bio: *mut c_void,
        label: *mut *mut c_char,
        header: *mut *mut c_char,
        data: *mut *mut u8,
        length: *mut c_long,
    ) -> c_int;
    fn PEM_read_bio_X509_AUX(
        bio: *mut c_void,
        into: *mut *mut c_void,
        callback: *const c_void,
        user: *mut c_void,
    ) -> *mut c_void;
    fn d2i_X509_AUX(into: *mut *mut c_void, at: *mut *const u8, length: c_long) -> *mut c_void;
    fn EVP_PKEY_check(context: *mut c_void) -> c_int;
    fn CRYPTO_free(memory: *mut c_void, file: *const c_char, line: c_int);
    fn BIO_f_base64() -> *const c_void;
    fn BIO_new(method: *const c_void) -> *mut c_void;
    fn BIO_push(filter: *mut c_void, next: *mut c_void) -> *mut c_void;
    fn BIO_pop(filter: *mut c_void) -> *mut c_void;
    fn BIO_free(bio: *mut c_void) -> c_int;
    fn BIO_read(bio: *mut c_void, into: *mut c_void, length: c_int) -> c_int;
    fn BIO_set_flags(bio: *mut c_void, flags: c_int);
}
