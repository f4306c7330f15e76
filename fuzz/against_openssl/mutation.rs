//! Changes a file as transport, editors, programs and people do: its bytes, its text, its blocks, and the DER
//! in them.

use crate::der;
use crate::random::Random;
use crate::seeds::{Authority, Seed};

/// One change of one file, or several.
pub(crate) fn mutate(seed: &Seed, authority: &Authority, random: &mut Random) -> Vec<Vec<u8>> {
    let mut files = seed.files.clone();
    for _ in 0..if random.one_in(3) { 2 + random.below(2) } else { 1 } {
        let at = random.below(files.len());
        let file = &mut files[at];
        *file = match random.below(8) {
            0 => bytes(file, random),
            1..=3 => text(file, random),
            4 => blocks(file, authority, random, false),
            _ => blocks(file, authority, random, true),
        };
    }
    if files.len() > 1 && random.one_in(30) {
        files.reverse();
    }
    files
}

fn bytes(file: &[u8], random: &mut Random) -> Vec<u8> {
    let mut file = file.to_vec();
    let at = random.below(file.len());
    let most = if random.one_in(2) { 4 } else { 100 };
    let length = (1 + random.below(most)).min(file.len() - at);
    match random.below(6) {
        0 | 1 if !file.is_empty() => file[at] ^= 1 << random.below(8),
        2 => file.insert(at, random.byte()),
        3 => drop(file.drain(at..at + length)),
        4 => {
            let again = file[at..at + length].to_vec();
            file.splice(at..at, again).for_each(drop);
        }
        _ => file.truncate(at),
    }
    file
}

/// A change of lines and blanks; of the bytes, if it is no text.
fn text(file: &[u8], random: &mut Random) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(file) else { return bytes(file, random) };
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = random.below(lines.len());
    let blanks: [&str; 10] =
        [" ", "\t", "  ", "\r", "\u{a0}", "\u{200b}", "\u{feff}", "\0", "\\n", "\x0b"];
    let blank = random.pick(&blanks);
    let near = |lines: &[String], random: &mut Random| {
        // Most faults are at the lines around a block.
        let ends: Vec<usize> = (0..lines.len()).filter(|&at| lines[at].contains("-----")).collect();
        let at = if ends.is_empty() { at } else { ends[random.below(ends.len())] };
        (at + random.below(3)).saturating_sub(1).min(lines.len().saturating_sub(1))
    };
    let at = if random.one_in(2) { near(&lines, random) } else { at };
    let count = lines.len();
    let Some(line) = lines.get_mut(at) else { return bytes(file, random) };
    let middle = random.below(line.len() + 1);
    let is_boundary = line.is_char_boundary(middle);
    match random.below(20) {
        0 => drop(lines.remove(at)),
        1 if at + 1 < count => {
            let next = lines.remove(at + 1);
            lines[at].push_str(&next);
        }
        1 => {}
        2 => lines.insert(at, lines[at].clone()),
        3 => line.push_str(blank),
        4 => line.insert_str(0, blank),
        5 if is_boundary => line.insert_str(middle, blank),
        5 => {}
        6 => lines.insert(at, if random.one_in(2) { String::new() } else { blank.to_owned() }),
        7 => return text.replace('\n', "\r\n").into(),
        8 => return text.replace('\n', "\r").into(),
        9 => {
            return text
                .replace('\n', random.pick(&["", " ", "\\n", "\n\n", "\n ", " \n", "\n\t"]))
                .into();
        }
        10 if is_boundary => {
            let rest = line.split_off(middle);
            lines.insert(at + 1, rest);
        }
        10 => {}
        11 => return format!("\u{feff}{text}").into(),
        12 => lines.insert(at, random.pick(REMARKS).to_owned()),
        13 => {
            *line = line.replace("-----", random.pick(&["----", "------", "—", "- - -", "-----​"]))
        }
        14 => *line = line.replace('=', random.pick(&["", "==", "=\n=", "= ="])),
        15 => line.push_str(random.pick(&["=", "==", "AAAA", "A", "-", "#"])),
        16 => *line = line.to_lowercase(),
        17 => {
            let other = random.below(lines.len());
            lines.swap(at, other);
        }
        18 => return openssl::base64::encode_block(file).into(),
        _ => {
            // All blocks of one line each, or in lines of another length.
            let width = [16, 48, 65, 76, 80, 253, 254, 255, 256, 1024, 100_000][random.below(11)];
            return rewrap(text, width).into();
        }
    }
    let end = if random.one_in(8) { "" } else { "\n" };
    format!("{}{end}", lines.join("\n")).into()
}

const REMARKS: &[&str] = &[
    "",
    "# a remark",
    "subject=CN = www.example.com",
    "-----",
    "-----BEGIN",
    "-----END",
    "-----BEGIN CERTIFICATE-----",
    "-----END CERTIFICATE-----",
    "---",
    "Proc-Type: 4,ENCRYPTED",
    "X-Origin: a",
    "Bag Attributes",
    "a: b\n",
    "-----BEGIN X",
    "Proc-Type: 4,CLEAR",
    "Comment: \"x\"\n",
    "<<<<<<< HEAD",
    "certificate:",
    "=",
];

fn rewrap(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut base64 = String::new();
    for line in text.lines().chain([""]) {
        let is_base64 = line.len() > 15
            && !line.contains(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c));
        if is_base64 || (!base64.is_empty() && !line.is_empty() && !line.contains('-')) {
            base64.push_str(line);
            continue;
        }
        for at in (0..base64.len()).step_by(width) {
            out.push_str(base64.get(at..base64.len().min(at + width)).unwrap_or_default());
            out.push('\n');
        }
        base64.clear();
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// A piece of a text: a block of PEM, or what is between two.
#[derive(Clone)]
enum Piece {
    Text(String),
    Block { begin: String, end: String, header: String, der: Vec<u8> },
}

/// A change of the blocks of a text, or of the DER of one of them; a file in DER is one block.
fn blocks(file: &[u8], authority: &Authority, random: &mut Random, in_der: bool) -> Vec<u8> {
    if file.first() == Some(&0x30) {
        return value(file, authority, random).unwrap_or_else(|| bytes(file, random));
    }
    let Some(mut pieces) = std::str::from_utf8(file).ok().and_then(pieces) else {
        return text(file, random);
    };
    let all: Vec<usize> =
        (0..pieces.len()).filter(|&at| matches!(pieces[at], Piece::Block { .. })).collect();
    if all.is_empty() {
        return text(file, random);
    }
    let at = all[random.below(all.len())];
    let other = all[random.below(all.len())];
    let others = pieces.clone();
    if let Piece::Block { begin, end, header, der } = &mut pieces[at] {
        if in_der {
            match value(der, authority, random) {
                Some(changed) => *der = changed,
                None => return text(file, random),
            }
            return write(&pieces, random);
        }
        match random.below(12) {
            0 => *begin = random.pick(LABELS).to_owned(),
            1 => *end = random.pick(LABELS).to_owned(),
            2 | 3 => {
                *begin = random.pick(LABELS).to_owned();
                end.clone_from(begin);
            }
            4 => *header = random.pick(HEADERS).to_owned(),
            5 => {
                if let Piece::Block { der: second, .. } = &others[other] {
                    der.extend(second);
                }
            }
            6 => pieces.swap(at, other),
            7 => drop(pieces.remove(at)),
            8 => pieces.insert(other, others[at].clone()),
            9 => pieces.insert(at, Piece::Text(format!("{}\n", random.pick(REMARKS)))),
            10 => {
                let label = random.pick(LABELS).to_owned();
                let content = random.pick(&[
                    &b""[..],
                    b"\x30\0",
                    b"\x30\x03\x02\x01\x05",
                    b"\x06\x03\x2a\x03\x04",
                    b"junk",
                ]);
                let block = Piece::Block {
                    begin: label.clone(),
                    end: label,
                    header: String::new(),
                    der: content.to_vec(),
                };
                pieces.insert(other, block);
            }
            _ => pieces.reverse(),
        }
    }
    write(&pieces, random)
}

/// A change of DER, often followed by a new signature if it is a certificate: then only its form is odd.
fn value(der: &[u8], authority: &Authority, random: &mut Random) -> Option<Vec<u8>> {
    let changed = der::mutate(der, random)?;
    let is_certificate =
        der::parts(der).is_some_and(|parts| parts.len() == 3 && parts[2].first() == Some(&3));
    let signed = authority.sign_again(&changed).filter(|_| is_certificate && random.one_in(2));
    Some(signed.unwrap_or(changed))
}

const LABELS: &[&str] = &[
    "CERTIFICATE",
    "X509 CERTIFICATE",
    "TRUSTED CERTIFICATE",
    "PKCS7",
    "PKCS #7 SIGNED DATA",
    "CMS",
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
    "ANY PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "PUBLIC KEY",
    "RSA PUBLIC KEY",
    "CERTIFICATE REQUEST",
    "NEW CERTIFICATE REQUEST",
    "X509 CRL",
    "EC PARAMETERS",
    "DH PARAMETERS",
    "OPENSSH PRIVATE KEY",
    "PGP MESSAGE",
    "PKCS12",
    "certificate",
    " CERTIFICATE",
    "CERTIFICATE ",
    "",
    "ED25519 PRIVATE KEY",
];

const HEADERS: &[&str] = &[
    "X-Origin: a\n\n",
    "X-Origin: a\n b\n\n",
    "\n",
    "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
    "Proc-Type: 4,MIC-CLEAR\n\n",
    "Proc-Type: 4,ENCRYPTED\n\n",
    "Comment: x\n",
    "X:\n\n",
    "Proc-Type: 5,ENCRYPTED\n\n",
];

fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(label) =
            line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"))
        else {
            pieces.push(Piece::Text(format!("{line}\n")));
            continue;
        };
        let end = format!("-----END {label}-----");
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
        let der = openssl::base64::decode_block(&body.concat()).ok()?;
        let label = label.to_owned();
        pieces.push(Piece::Block { begin: label.clone(), end: label, header: String::new(), der });
    }
    Some(pieces)
}

fn write(pieces: &[Piece], random: &mut Random) -> Vec<u8> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(between) => text.push_str(between),
            Piece::Block { begin, end, header, der } => {
                text.push_str(&format!("-----BEGIN {begin}-----\n{header}"));
                let base64 = openssl::base64::encode_block(der);
                for at in (0..base64.len()).step_by(64) {
                    text.push_str(&base64[at..base64.len().min(at + 64)]);
                    text.push('\n');
                }
                text.push_str(&format!("-----END {end}-----\n"));
            }
        }
    }
    if random.one_in(40) {
        text = text.replace('\n', "\r\n");
    }
    text.into()
}
