//! Tables for people: columns as wide as what stands in them.

/// Rows below a head.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(super) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(ToString::to_string).collect()] }
    }

    /// One more row; a cell that is not there is empty.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| one_line(&cell)).collect());
    }

    /// As text: two blanks between columns, none at the end of a line.
    pub(super) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        self.rows.iter().map(|row| line(row, &widths)).collect()
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

/// `Name:  value` lines, the values under each other; values without a text are left out.
pub(super) fn facts(facts: &[(&str, Option<String>)]) -> String {
    let facts: Vec<_> = facts.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))).collect();
    let width = facts.iter().map(|(name, _)| name.chars().count() + 1).max().unwrap_or(0);
    facts.iter().map(|(name, value)| format!("{:<width$}  {}\n", format!("{name}:"), one_line(value))).collect()
}

/// Whatever others wrote (a CA's error, a command's) stays in its line and does nothing to the terminal.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|character| !character.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["NAME", "STATE"]);
        table.row(["bücher.example".to_owned(), "issued".to_owned()]);
        table.row(["a".to_owned(), String::new()]);
        assert_eq!(table.render(), "NAME            STATE\nbücher.example  issued\na\n");
    }

    #[test]
    fn facts_stand_under_each_other_and_hostile_text_stays_in_its_line() {
        let told = facts(&[
            ("State", Some("issued".to_owned())),
            ("Last error", Some("a\n\u{1b}[31mb".to_owned())),
            ("Serial", None),
        ]);
        assert_eq!(told, "State:       issued\nLast error:  a [31mb\n");
    }
}
