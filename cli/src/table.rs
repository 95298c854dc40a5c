//! Tables: columns as wide as their widest cell, four spaces apart, nothing trailing.

use console::measure_text_width;

const GAP: usize = 4;

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
    fn a_header_may_be_the_widest_cell() {
        let rows = [vec!["a".to_owned(), "b".to_owned()]];
        assert_eq!(lines(&["WIDE", "X"], &rows), ["WIDE    X", "a       b"]);
    }
}
