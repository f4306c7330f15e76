//! DER as a tree that can be changed and written again, also as what is no DER any more.

use crate::random::Random;

/// One element.
#[derive(Clone)]
pub(crate) struct Node {
    tag: u8,
    length: Length,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Bytes(Vec<u8>),
    /// Elements, after the bytes that precede them in a BIT STRING.
    Nodes(Vec<u8>, Vec<Node>),
}

/// How a length is written.
#[derive(Clone, Copy)]
enum Length {
    Shortest,
    /// With this many bytes at least.
    Long(usize),
    Indefinite,
}

/// The elements one after the other; `None` if they are no DER.
pub(crate) fn parse(mut bytes: &[u8]) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    while let [tag, first, rest @ ..] = bytes {
        if tag & 0x1f == 0x1f {
            return None;
        }
        let more = usize::from(first & 0x7f);
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 if rest.len() >= more => {
                let length = rest[..more].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                (length, &rest[more..])
            }
            _ => return None,
        };
        if rest.len() < length {
            return None;
        }
        let (content, after) = rest.split_at(length);
        nodes.push(Node {
            tag: *tag,
            length: Length::Shortest,
            content: parse_content(*tag, content)?,
        });
        bytes = after;
    }
    bytes.is_empty().then_some(nodes)
}

fn parse_content(tag: u8, content: &[u8]) -> Option<Content> {
    if tag & 0x20 != 0 {
        return parse(content).map(|nodes| Content::Nodes(Vec::new(), nodes));
    }
    // Keys are enclosed in strings of bytes or bits, and so are extensions.
    let before = usize::from(tag == 3);
    let encloses = matches!(tag, 3 | 4) && content.get(before) == Some(&0x30);
    if let Some(nodes) = content.get(before..).filter(|_| encloses).and_then(parse) {
        return Some(Content::Nodes(content[..before].to_vec(), nodes));
    }
    Some(Content::Bytes(content.to_vec()))
}

pub(crate) fn encode(nodes: &[Node]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for node in nodes {
        let content = match &node.content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Nodes(before, nodes) => [&before[..], &encode(nodes)].concat(),
        };
        bytes.push(node.tag);
        let length = content.len().to_be_bytes();
        let zeros = length.iter().take_while(|byte| **byte == 0).count();
        match node.length {
            Length::Indefinite => bytes.push(0x80),
            Length::Shortest if content.len() < 0x80 => bytes.push(content.len() as u8),
            form => {
                let least = if let Length::Long(least) = form { least } else { 1 };
                let length = &length[zeros.min(length.len() - least)..];
                bytes.push(0x80 | length.len() as u8);
                bytes.extend(length);
            }
        }
        bytes.extend(content);
        if let Length::Indefinite = node.length {
            bytes.extend([0, 0]);
        }
    }
    bytes
}

/// An element in the shortest form.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = Content::Bytes(parts.concat());
    encode(&[Node { tag, length: Length::Shortest, content }])
}

/// The encodings of the elements in an element.
pub(crate) fn parts(der: &[u8]) -> Option<Vec<Vec<u8>>> {
    let [Node { content: Content::Nodes(_, nodes), .. }] = &parse(der)?[..] else { return None };
    Some(nodes.iter().map(|node| encode(std::slice::from_ref(node))).collect())
}

/// Changes one element, or what is around it.
pub(crate) fn mutate(der: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let mut nodes = parse(der)?;
    let count = count(&nodes);
    // Often near the top, where the structure of a file is.
    let limit = if random.one_in(2) { count.min(12) } else { count };
    let mut at = random.below(limit);
    change(&mut nodes, &mut at, random);
    let mut changed = encode(&nodes);
    if random.one_in(12) {
        changed.extend(random.pick(&[
            &b"\n"[..],
            b"\r\n",
            b"\0",
            b"\0\0\0\0",
            b" ",
            b"\x1a",
            b"\x30\0",
            b"\x05\0",
            b"junk",
            b"\x04\x01\0",
        ]));
    }
    Some(changed)
}

fn count(nodes: &[Node]) -> usize {
    nodes.iter().map(|node| 1 + children(node).map_or(0, |(_, nodes)| count(nodes))).sum()
}

fn children(node: &Node) -> Option<(&[u8], &[Node])> {
    match &node.content {
        Content::Nodes(before, nodes) => Some((before, nodes)),
        Content::Bytes(_) => None,
    }
}

/// Changes the element with this number, counted from the outside to the inside; true once it is done.
fn change(nodes: &mut Vec<Node>, at: &mut usize, random: &mut Random) -> bool {
    for i in 0..nodes.len() {
        if *at == 0 {
            change_at(nodes, i, random);
            return true;
        }
        *at -= 1;
        if let Content::Nodes(_, inner) = &mut nodes[i].content
            && change(inner, at, random)
        {
            return true;
        }
    }
    false
}

fn change_at(nodes: &mut Vec<Node>, at: usize, random: &mut Random) {
    let null = || Node { tag: 5, length: Length::Shortest, content: Content::Bytes(Vec::new()) };
    match random.below(16) {
        0 | 1 => nodes[at].length = Length::Long(1 + random.below(4)),
        2 | 3 => nodes[at].length = Length::Indefinite,
        4 => nodes[at].tag = random.byte(),
        5 => nodes[at].tag ^= 1 << random.below(8),
        6 => {
            let other = random.below(nodes.len());
            nodes.swap(at, other);
        }
        7 => drop(nodes.remove(at)),
        8 => nodes.insert(at, nodes[at].clone()),
        9 => nodes.insert(at + random.below(2), null()),
        10 => match nodes.iter().position(|node| node.tag == 5) {
            Some(null) => drop(nodes.remove(null)),
            None => nodes.push(null()),
        },
        // Attributes of PKCS#8 (RFC 5958): in a key, if this is its outermost element.
        11 => {
            let usage = parse(b"\xa0\x0d\x30\x0b\x06\x03\x55\x1d\x0f\x31\x04\x03\x02\x07\x80");
            let attributes = usage.unwrap_or_default().into_iter();
            match &mut nodes[at].content {
                Content::Nodes(_, inner) => inner.extend(attributes),
                Content::Bytes(_) => nodes.extend(attributes),
            }
        }
        12 => into_pieces(&mut nodes[at], random),
        _ => change_content(&mut nodes[at], random),
    }
}

/// A string of bytes in two pieces, of indefinite length or not.
fn into_pieces(node: &mut Node, random: &mut Random) {
    let bytes = match &node.content {
        Content::Bytes(bytes) => bytes.clone(),
        Content::Nodes(before, nodes) => [&before[..], &encode(nodes)].concat(),
    };
    let (one, two) = bytes.split_at(random.below(bytes.len()));
    let piece = |bytes: &[u8]| Node {
        tag: if node.tag & 0xc0 == 0 { node.tag & 0x1f } else { 4 },
        length: Length::Shortest,
        content: Content::Bytes(bytes.to_vec()),
    };
    node.content = Content::Nodes(Vec::new(), vec![piece(one), piece(two)]);
    node.tag |= 0x20;
    node.length = if random.one_in(2) { Length::Indefinite } else { Length::Shortest };
}

fn change_content(node: &mut Node, random: &mut Random) {
    match &mut node.content {
        Content::Bytes(bytes) => {
            let at = random.below(bytes.len());
            match random.below(6) {
                0 => bytes.insert(0, 0),
                1 => bytes.splice(0..0, [0; 9]).for_each(drop),
                2 => bytes.insert(0, 0xff),
                3 => bytes.clear(),
                4 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
                4 => {}
                _ => bytes.push(random.byte()),
            }
        }
        Content::Nodes(before, nodes) => match random.below(4) {
            0 => nodes.reverse(),
            1 => nodes.clear(),
            2 => before.push(random.byte()),
            _ => drop(nodes.pop()),
        },
    }
}
