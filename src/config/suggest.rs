//! "Did you mean …?"

/// The candidate that is written most nearly like `word`, if any is near enough to be meant.
pub(super) fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word: Vec<char> = word.to_lowercase().chars().take(LONGEST).collect();
    let limit = (word.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase().chars().collect::<Vec<_>>()), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What to write instead of `word`: the nearest candidate, or else what there is.
pub(super) fn instead<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str> + Clone) -> String {
    if let Some(candidate) = closest(word, candidates.clone()) {
        return format!("did you mean `{candidate}`?");
    }
    let all: Vec<String> = candidates.into_iter().map(|candidate| format!("`{candidate}`")).collect();
    match all.len() {
        0 => String::new(),
        1..=MOST => format!("write one of {}", all.join(", ")),
        more => format!("write one of {} and {} more", all[..MOST].join(", "), more - MOST),
    }
}

/// Longer words are compared by their beginning.
const LONGEST: usize = 80;

/// More candidates are not listed.
const MOST: usize = 16;

/// Letters to insert, drop, replace or swap with their neighbour to get from one word to the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut rows = vec![(0..=to.len()).collect::<Vec<_>>()];
    for (i, letter) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in to.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(letter != other);
            let mut best = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == to[j - 1] && from[i - 1] == *other {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_meant() {
        for (word, meant) in [
            ("mian", Some("main")),
            ("mains", Some("main")),
            ("MAIN", Some("main")),
            ("cloudflair", Some("cloudflare")),
            ("nginx", None),
            ("x", None),
        ] {
            assert_eq!(closest(word, ["cloudflare", "main", "a"]), meant, "{word}");
        }
    }

    #[test]
    fn without_a_near_one_all_are_told() {
        assert_eq!(instead("zzz", ["main", "other"]), "write one of `main`, `other`");
        assert_eq!(instead("zzz", []), "");
    }
}
