//! Tables: columns as wide as their widest cell, four spaces apart, nothing trailing.

use console::{measure_text_width, truncate_str};

const GAP: usize = 4;

/// Cuts the first column at the beginning of its cells, so that the lines of a table fit into so many
/// columns of a terminal, but not to less than `least`.
pub(crate) fn cut_first(header: &[&str], rows: &mut [Vec<String>], columns: usize, least: usize) {
    let others: usize = (1..header.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let cells = cells.map(|cell| measure_text_width(cell));
            let own = header
                .get(column)
                .map_or(0, |cell| measure_text_width(cell));
            cells.max().unwrap_or(0).max(own) + GAP
        })
        .sum();
    let room = columns.saturating_sub(others).max(least);
    for cell in rows.iter_mut().filter_map(|row| row.first_mut()) {
        *cell = cut_start(cell, room);
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

/// Returns the lines of a table, the header first. Cells must be safe to print.
pub(crate) fn lines(header: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let mut widths: Vec<usize> = header.iter().map(|cell| measure_text_width(cell)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = measure_text_width(cell).max(*width);
        }
    }
    let rows = rows
        .iter()
        .map(|row| line(row.iter().map(String::as_str), &widths));
    std::iter::once(line(header.iter().copied(), &widths))
        .chain(rows)
        .collect()
}

fn line<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    let mut line = String::new();
    let mut padding = 0;
    for (cell, width) in cells.zip(widths) {
        line.extend(std::iter::repeat_n(' ', padding));
        line.push_str(cell);
        padding = width.saturating_sub(measure_text_width(cell)) + GAP;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_four_spaces_apart_with_nothing_trailing() {
        let rows = [
            vec!["python:latest".to_owned(), "1 B".to_owned()],
            vec!["wörld".to_owned(), "12 B".to_owned()],
            vec!["漢字".to_owned(), "123 B".to_owned()],
        ];
        assert_eq!(
            lines(&["REFERENCE", "SIZE"], &rows),
            [
                "REFERENCE        SIZE",
                "python:latest    1 B",
                "wörld            12 B",
                "漢字             123 B",
            ]
        );
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
        let rows = [vec!["a".to_owned(), "b".to_owned()]];
        assert_eq!(lines(&["WIDE", "X"], &rows), ["WIDE    X", "a       b"]);
    }
}
