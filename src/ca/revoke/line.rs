//! One line of `revocations.log`: everything that is needed to revoke the certificate again, even where the database
//! has never heard of it.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Reason, Standing};
use crate::clock::Timestamp;
use crate::pki::serial::Serial;
use crate::state::CaStatusRow;

/// The word for a hold that ended.
const RELEASED: &str = "released";

/// What stands where there is nothing to say.
const NOTHING: &str = "-";

/// A change, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// When it was made; whole seconds.
    pub at: Timestamp,
    /// The CA's name in the config.
    pub ca: String,
    /// The certificate.
    pub serial: Serial,
    /// How it stands since.
    pub standing: Standing,
    /// The generation that has signed it.
    pub generation: u32,
    /// The CRL that it stands in.
    pub shard: u32,
    /// When it ends.
    pub not_after: Timestamp,
}

impl Line {
    /// What a row has come to; `None` where its serial is none.
    pub(super) fn of(row: &CaStatusRow, standing: Standing, now: Timestamp) -> Option<Self> {
        Some(Self {
            at: Timestamp::from_seconds(now.seconds()),
            ca: row.ca.clone(),
            serial: Serial::parse_hex(&row.serial).ok()?,
            standing,
            generation: row.generation,
            shard: row.shard,
            not_after: row.not_after,
        })
    }

    /// The row that it makes.
    pub(super) fn to_row(&self) -> CaStatusRow {
        let mut row = CaStatusRow {
            ca: self.ca.clone(),
            serial: self.serial.to_string(),
            generation: self.generation,
            shard: self.shard,
            not_after: self.not_after,
            revoked_at: None,
            reason: None,
            released_at: None,
        };
        self.standing.write_to(&mut row);
        row
    }

    /// Reads a line; `None` where it is damaged.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let at = time(words.next()?)?;
        let ca = words.next()?.to_owned();
        let serial = Serial::parse_hex(words.next()?).ok()?;
        let (word, since) = (words.next()?, words.next()?);
        let (generation, shard) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let not_after = time(words.next()?)?;
        let standing = standing(at, word, since)?;
        words.next().is_none().then_some(Self { at, ca, serial, standing, generation, shard, not_after })
    }
}

fn standing(at: Timestamp, word: &str, since: &str) -> Option<Standing> {
    if word == RELEASED {
        return Some(Standing::Good { released: Some(at) });
    }
    let reason = Reason::parse(word)?;
    match since {
        NOTHING => Some(Standing::Revoked { at, reason, hold_ended: None }),
        since => Some(Standing::Revoked { at: time(since)?, reason, hold_ended: Some(at) }),
    }
}

fn time(text: &str) -> Option<Timestamp> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(Timestamp::from_datetime)
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, since) = match self.standing {
            Standing::Good { .. } => (RELEASED, NOTHING.to_owned()),
            Standing::Revoked { reason, hold_ended: None, .. } => (reason.as_str(), NOTHING.to_owned()),
            Standing::Revoked { at, reason, hold_ended: Some(_) } => (reason.as_str(), at.to_string()),
        };
        let Self { at, ca, serial, generation, shard, not_after, .. } = self;
        writeln!(formatter, "{at} {ca} {serial} {word} {since} {generation} {shard} {not_after}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(standing: Standing) -> Line {
        Line {
            at: Timestamp::from_seconds(1_800_000_000),
            ca: "internal".to_owned(),
            serial: Serial::parse_hex("04a1b2").unwrap(),
            standing,
            generation: 2,
            shard: 7,
            not_after: Timestamp::from_seconds(1_900_000_000),
        }
    }

    #[test]
    fn every_standing_is_read_back() {
        let at = Timestamp::from_seconds(1_800_000_000);
        let since = Timestamp::from_seconds(1_700_000_000);
        let standings = Reason::ALL.into_iter().flat_map(|reason| {
            let plain = Standing::Revoked { at, reason, hold_ended: None };
            [plain, Standing::Revoked { at: since, reason, hold_ended: Some(at) }]
        });
        for standing in standings.chain([Standing::Good { released: Some(at) }]) {
            let text = line(standing).to_string();
            assert!(text.ends_with('\n') && text.lines().count() == 1, "{text}");
            assert_eq!(Line::parse(text.trim_end()), Some(line(standing)), "{text}");
        }
    }

    #[test]
    fn a_line_is_what_people_can_read() {
        let at = Timestamp::from_seconds(1_800_000_000);
        let standing = Standing::Revoked { at, reason: Reason::KeyCompromise, hold_ended: None };
        let expected = "2027-01-15T08:00:00Z internal 04a1b2 keyCompromise - 2 7 2030-03-17T17:46:40Z\n";
        assert_eq!(line(standing).to_string(), expected);
    }

    #[test]
    fn what_is_damaged_is_not_read() {
        let whole = "2027-01-15T08:00:00Z internal 04a1b2 keyCompromise - 2 7 2030-03-17T17:46:40Z";
        assert!(Line::parse(whole).is_some());
        for end in 0..whole.len() - 1 {
            assert_eq!(Line::parse(&whole[..end]), None, "{}", &whole[..end]);
        }
        assert_eq!(Line::parse(&format!("{whole} more")), None);
        assert_eq!(Line::parse(&whole.replace("keyCompromise", "removeFromCRL")), None);
    }
}
