//! Aligned columns.

/// Which side of its column a cell keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    /// For numbers.
    Right,
}

/// A table; its columns are as wide as they must be, two spaces between them.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<(&'static str, Align)>,
    rows: Vec<Row>,
}

#[derive(Debug)]
enum Row {
    Cells(Vec<String>),
    /// A remark on the row above.
    Note(String),
}

impl Table {
    pub(crate) fn new(head: &[(&'static str, Align)]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(Row::Cells(cells.into_iter().collect()));
    }

    /// Adds a remark on the row above, indented under it.
    pub(crate) fn note(&mut self, text: &str) {
        self.rows.push(Row::Note(text.to_owned()));
    }

    /// Leaves out columns in which no row has anything.
    pub(crate) fn without_empty_columns(mut self) -> Self {
        let is_used = |column: usize| {
            self.rows.iter().any(|row| match row {
                Row::Cells(cells) => cells.get(column).is_some_and(|cell| !cell.is_empty()),
                Row::Note(_) => false,
            })
        };
        let used: Vec<bool> = (0..self.head.len()).map(is_used).collect();
        let mut columns = used.iter();
        self.head.retain(|_| columns.next() == Some(&true));
        for row in &mut self.rows {
            if let Row::Cells(cells) = row {
                let mut columns = used.iter();
                cells.retain(|_| columns.next() == Some(&true));
            }
        }
        self
    }

    /// The table as text; `none` where there are no rows.
    pub(crate) fn render(&self, none: &str) -> String {
        if self.rows.is_empty() {
            return format!("{none}\n");
        }
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| self.width(column))
            .collect();
        let head: Vec<String> = self
            .head
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        let mut text = self.line(&head, &widths);
        for row in &self.rows {
            match row {
                Row::Cells(cells) => text.push_str(&self.line(cells, &widths)),
                Row::Note(note) => {
                    for (index, line) in folded(note, NOTE_WIDTH).iter().enumerate() {
                        let indent = if index == 0 { "" } else { "  " };
                        text.push_str(&format!("     {indent}{line}\n"));
                    }
                }
            }
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| match row {
            Row::Cells(cells) => cells.get(column),
            Row::Note(_) => None,
        });
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(self.head[column].0.chars().count())
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), (_, align)) in cells.iter().zip(widths).zip(&self.head) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
            match align {
                Align::Left => line.extend([cell.as_str(), &gap]),
                Align::Right => line.extend([gap.as_str(), cell]),
            }
        }
        format!("{}\n", line.trim_end())
    }
}

/// Remarks are folded at this width.
const NOTE_WIDTH: usize = 100;

/// `text` in lines of at most `width` where spaces allow it.
pub(crate) fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Lines of a name and a value, the values under each other.
pub(crate) fn pairs(lines: &[(&str, String)]) -> String {
    let width = lines
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    lines.iter().fold(String::new(), |text, (name, value)| {
        let gap = " ".repeat(width - name.chars().count());
        text + format!("{name}{gap}  {value}").trim_end() + "\n"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_folded_and_empty_columns_left_out() {
        assert_eq!(
            folded("a bc def ghijklmnop q", 6),
            ["a bc", "def", "ghijklmnop", "q"]
        );
        assert_eq!(folded("", 6), [""]);
        let head = [("A", Align::Left), ("B", Align::Left), ("C", Align::Right)];
        let mut table = Table::new(&head);
        table.row(["x".into(), String::new(), "1".into()]);
        table.row(["y".into()]);
        assert_eq!(table.without_empty_columns().render(""), "A  C\nx  1\ny\n");
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&[
            ("NAME", Align::Left),
            ("COUNT", Align::Right),
            ("X", Align::Left),
        ]);
        table.row(["a".into(), "1".into(), String::new()]);
        table.row(["longer".into(), "123456".into(), "é".into()]);
        table.note("a remark");
        assert_eq!(
            table.render("none"),
            "\
NAME     COUNT  X
a            1
longer  123456  é
     a remark
"
        );
        assert_eq!(
            Table::new(&[("NAME", Align::Left)]).render("no things"),
            "no things\n"
        );
        assert_eq!(
            pairs(&[("a", "1".into()), ("bcd", "2".into())]),
            "a    1\nbcd  2\n"
        );
    }
}
