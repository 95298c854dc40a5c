//! Tables: columns as wide as their widest cell, four spaces apart, nothing trailing.
//!
//! On a terminal that is too narrow, columns come closer, and cells that may be cut are. What still
//! does not fit is cut at the edge of the screen, since wrapped lines are no table.

use console::{measure_text_width, truncate_str};

/// Spaces between columns.
const GAP: usize = 4;
/// Spaces between columns where there is not enough room.
const NARROW_GAP: usize = 2;
/// The fewest columns that a cell is cut to, before the line is.
const LEAST: usize = 16;

/// A table for people. Cells must be safe to print.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    /// The titles of the columns.
    pub(crate) header: &'a [&'a str],
    /// The cells, as many in each row as there are titles.
    pub(crate) rows: Vec<Vec<String>>,
    /// The columns whose cells may be cut. Without any, nothing is cut, and lines may wrap.
    pub(crate) cuts: &'a [(usize, Cut)],
}

/// What a cell loses where there is not enough room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Its beginning: the end of a name tells more.
    Start,
    /// Its end.
    End,
}

impl Table<'_> {
    /// Returns the lines, the header first, for a terminal with so many columns, or for a program.
    pub(crate) fn lines(self, columns: Option<usize>) -> Vec<String> {
        let columns = columns.filter(|_| !self.cuts.is_empty());
        let mut widths = self.widths();
        let gaps = widths.len().saturating_sub(1);
        let is_within = |widths: &[usize], gap: usize| {
            columns.is_none_or(|columns| widths.iter().sum::<usize>() + gaps * gap <= columns)
        };
        let gap = if is_within(&widths, GAP) {
            GAP
        } else {
            NARROW_GAP
        };
        while !is_within(&widths, gap) {
            let cut = self.cuts.iter().map(|(column, _)| *column);
            let widest = cut.max_by_key(|column| widths.get(*column));
            match widest.and_then(|column| widths.get_mut(column)) {
                Some(width) if *width > LEAST => *width -= 1,
                _ => break,
            }
        }
        let mut rows = self.rows;
        for row in &mut rows {
            for (column, cut) in self.cuts {
                if let (Some(cell), Some(width)) = (row.get_mut(*column), widths.get(*column)) {
                    *cell = match cut {
                        Cut::Start => cut_start(cell, *width),
                        Cut::End => cut_end(cell, *width),
                    };
                }
            }
        }
        let header = line(self.header.iter().copied(), &widths, gap);
        let rows = rows
            .iter()
            .map(|row| line(row.iter().map(String::as_str), &widths, gap));
        std::iter::once(header)
            .chain(rows)
            .map(|line| columns.map_or_else(|| line.clone(), |columns| cut_end(&line, columns)))
            .collect()
    }

    fn widths(&self) -> Vec<usize> {
        let header = self.header.iter();
        let mut widths: Vec<usize> = header.map(|cell| measure_text_width(cell)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = measure_text_width(cell).max(*width);
            }
        }
        widths
    }
}

/// Returns a text without its end, where it is wider than so many columns.
pub(crate) fn cut_end(text: &str, columns: usize) -> String {
    truncate_str(text, columns, "…").into_owned()
}

/// Returns a text without its beginning, where it is wider than so many columns.
fn cut_start(text: &str, columns: usize) -> String {
    if measure_text_width(text) <= columns {
        return text.to_owned();
    }
    let mut start = text.len();
    for (at, _) in text.char_indices().rev() {
        let end = text.get(at..).unwrap_or_default();
        if measure_text_width(end) >= columns {
            break;
        }
        start = at;
    }
    format!("…{}", text.get(start..).unwrap_or_default())
}

fn line<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize], gap: usize) -> String {
    let mut line = String::new();
    let mut padding = 0;
    for (cell, width) in cells.zip(widths) {
        // What is empty at the end of a line leaves nothing trailing.
        if !cell.is_empty() {
            line.extend(std::iter::repeat_n(' ', padding));
            line.push_str(cell);
            padding = 0;
        }
        padding += width.saturating_sub(measure_text_width(cell)) + gap;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table<'a>(header: &'a [&'a str], rows: &[&[&str]], cuts: &'a [(usize, Cut)]) -> Table<'a> {
        let cells = |row: &&[&str]| row.iter().map(ToString::to_string).collect();
        Table {
            header,
            rows: rows.iter().map(cells).collect(),
            cuts,
        }
    }

    #[test]
    fn columns_line_up_four_spaces_apart_with_nothing_trailing() {
        let rows: [&[&str]; 4] = [
            &["python:latest", "1 B", ""],
            &["wörld", "12 B", "x"],
            &["漢字", "123 B", ""],
            &["", "", "y"],
        ];
        assert_eq!(
            table(&["REFERENCE", "SIZE", "C"], &rows, &[]).lines(Some(10)),
            [
                "REFERENCE        SIZE     C",
                "python:latest    1 B",
                "wörld            12 B     x",
                "漢字             123 B",
                "                          y",
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_brings_columns_together_then_cuts_cells_then_lines() {
        let rows: [&[&str]; 2] = [
            &[
                "registry.example/a/long/name:1",
                "10 MB",
                "RUN something that takes long",
            ],
            &["漢字漢字漢字漢字漢字:1", "9 MB", "CMD"],
        ];
        let lines = |columns| {
            let cuts = [(0, Cut::Start), (2, Cut::End)];
            table(&["REFERENCE", "SIZE", "CREATED BY"], &rows, &cuts).lines(columns)
        };
        assert_eq!(lines(None), lines(Some(72)));
        assert_eq!(
            lines(Some(71)),
            [
                "REFERENCE                       SIZE   CREATED BY",
                "registry.example/a/long/name:1  10 MB  RUN something that takes long",
                "漢字漢字漢字漢字漢字:1          9 MB   CMD",
            ]
        );
        assert_eq!(
            lines(Some(50)),
            [
                "REFERENCE              SIZE   CREATED BY",
                "…xample/a/long/name:1  10 MB  RUN something that …",
                "…字漢字漢字漢字漢字:1  9 MB   CMD",
            ]
        );
        assert_eq!(
            lines(Some(30)),
            [
                "REFERENCE         SIZE   CREA…",
                "…e/a/long/name:1  10 MB  RUN …",
                "…漢字漢字漢字:1   9 MB   CMD",
            ]
        );
        for columns in 20..80 {
            let widest = lines(Some(columns))
                .iter()
                .map(|it| measure_text_width(it))
                .max();
            assert!(
                widest <= Some(columns),
                "{columns}: {:#?}",
                lines(Some(columns))
            );
        }
    }

    #[test]
    fn texts_are_cut_to_the_columns_that_there_are() {
        for (text, columns, start, end) in [
            ("python:3.13", 11, "python:3.13", "python:3.13"),
            ("python:3.13", 6, "…:3.13", "pytho…"),
            ("漢字:字", 4, "…:字", "漢…"),
        ] {
            assert_eq!(cut_start(text, columns), start);
            assert_eq!(cut_end(text, columns), end);
        }
    }

    #[test]
    fn a_header_may_be_the_widest_cell() {
        let lines = table(&["WIDE", "X"], &[&["a", "b"]], &[]).lines(None);
        assert_eq!(lines, ["WIDE    X", "a       b"]);
    }
}
