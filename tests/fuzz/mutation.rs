//! Changes at random: of octets, and of DER as such, so that the result is DER still and is read to the end.

use rand::Rng as _;
use rand::rngs::SmallRng;

/// As deep as values are taken apart.
const DEEPEST: u32 = 12;

/// Changes inputs at random.
pub struct Mutator {
    random: SmallRng,
    longest: usize,
}

/// A value in DER.
#[derive(Clone)]
enum Node {
    Primitive(u8, Vec<u8>),
    Constructed(u8, Vec<Node>),
}

impl Mutator {
    /// Nothing that it makes is longer than this.
    pub fn new(random: SmallRng, longest: usize) -> Self {
        Self { random, longest }
    }

    /// One of the seeds, changed a few times.
    pub fn mutate(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.pick(seeds).clone();
        for _ in 0..self.random.random_range(1..=4) {
            input = match self.random.random_range(0..8) {
                0 => self.flip(input),
                1 => self.truncate(input),
                2 => self.duplicate(input),
                3 => self.splice(&input, seeds),
                _ => self.change_der(input, seeds),
            };
        }
        input.truncate(self.longest);
        input
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.random.random_range(0..all.len())]
    }

    /// A place in something so long, its end included.
    fn place(&mut self, length: usize) -> usize {
        self.random.random_range(0..=length)
    }

    fn flip(&mut self, mut input: Vec<u8>) -> Vec<u8> {
        for _ in 0..self.random.random_range(1..=3) {
            let at = self.place(input.len());
            if let Some(octet) = input.get_mut(at) {
                *octet = match self.random.random_range(0..3) {
                    0 => *octet ^ (1 << self.random.random_range(0..8)),
                    1 => *[0, 1, 0x7f, 0x80, 0x81, 0xff].get(usize::from(*octet % 6)).unwrap(),
                    _ => self.random.random(),
                };
            }
        }
        input
    }

    fn truncate(&mut self, mut input: Vec<u8>) -> Vec<u8> {
        let end = self.place(input.len());
        input.truncate(end);
        input
    }

    fn duplicate(&mut self, mut input: Vec<u8>) -> Vec<u8> {
        let (a, b, at) = (self.place(input.len()), self.place(input.len()), self.place(input.len()));
        let part = input[a.min(b)..a.max(b)].to_vec();
        input.splice(at..at, part);
        input
    }

    /// The begin of one and the end of another.
    fn splice(&mut self, input: &[u8], seeds: &[Vec<u8>]) -> Vec<u8> {
        let other = self.pick(seeds).clone();
        let (end, begin) = (self.place(input.len()), self.place(other.len()));
        [&input[..end], &other[begin..]].concat()
    }

    /// A value in it is removed, repeated, given another tag or content, or taken from elsewhere.
    fn change_der(&mut self, input: Vec<u8>, seeds: &[Vec<u8>]) -> Vec<u8> {
        let Some(mut nodes) = Node::parse(&input, 0) else { return self.flip(input) };
        let other = Node::parse(self.pick(seeds).as_slice(), 0).unwrap_or_default();
        self.change_below(&mut nodes, &other);
        nodes.iter().flat_map(Node::encode).collect()
    }

    fn change_below(&mut self, nodes: &mut Vec<Node>, other: &[Node]) {
        let at = self.random.random_range(0..nodes.len().max(1));
        let deeper = self.random.random_range(0..5) > 0;
        match nodes.get_mut(at) {
            Some(Node::Constructed(_, inner)) if deeper => self.change_below(inner, other),
            Some(_) => self.change(nodes, at, other),
            None => nodes.extend(self.anywhere(other)),
        }
    }

    fn change(&mut self, nodes: &mut Vec<Node>, at: usize, other: &[Node]) {
        match self.random.random_range(0..6) {
            0 => drop(nodes.remove(at)),
            1 => {
                let copy = nodes[at].clone();
                let times = if self.random.random_range(0..8) == 0 { 25 } else { 1 };
                nodes.splice(at..at, vec![copy; times]);
            }
            2 => nodes[at].set_tag(self.random.random()),
            3 => nodes.extend(self.anywhere(other)),
            _ => {
                if let Node::Primitive(_, content) = &mut nodes[at] {
                    let changed = std::mem::take(content);
                    *content = if self.random.random() { self.flip(changed) } else { self.duplicate(changed) };
                }
            }
        }
    }

    /// A value from somewhere in these.
    fn anywhere(&mut self, nodes: &[Node]) -> Option<Node> {
        if nodes.is_empty() {
            return None;
        }
        match self.pick(nodes).clone() {
            Node::Constructed(_, inner) if !inner.is_empty() && self.random.random_range(0..4) > 0 => {
                self.anywhere(&inner)
            }
            node => Some(node),
        }
    }
}

impl Node {
    /// The values in a row; `None` where it is no DER.
    fn parse(mut input: &[u8], depth: u32) -> Option<Vec<Self>> {
        let mut nodes = Vec::new();
        while let Some((tag, content, rest)) = split(input) {
            let inner = if tag & 0x20 != 0 && depth < DEEPEST { Self::parse(content, depth + 1) } else { None };
            nodes.push(match inner {
                Some(inner) => Self::Constructed(tag, inner),
                None => Self::Primitive(tag, content.to_vec()),
            });
            input = rest;
        }
        input.is_empty().then_some(nodes)
    }

    fn set_tag(&mut self, tag: u8) {
        match self {
            Self::Primitive(own, _) | Self::Constructed(own, _) => *own = tag,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let (tag, content) = match self {
            Self::Primitive(tag, content) => (*tag, content.clone()),
            Self::Constructed(tag, inner) => (*tag, inner.iter().flat_map(Self::encode).collect()),
        };
        let digits: Vec<u8> = content.len().to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
        let head = match content.len() {
            short @ 0..=0x7f => vec![tag, short as u8],
            _ => [vec![tag, 0x80 | digits.len() as u8], digits].concat(),
        };
        [head, content].concat()
    }
}

/// The first value in DER: its tag, its content, and what comes behind.
pub fn split(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = input.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            let shortest = if digits.len() == 1 { length >= 0x80 } else { digits[0] != 0 };
            (shortest.then_some(length)?, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}
