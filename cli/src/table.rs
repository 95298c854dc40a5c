//! Tables: columns as wide as their widest cell, four spaces apart, nothing trailing.

use console::measure_text_width;

const GAP: usize = 4;

/// Returns the lines of a table, the header first.
pub(crate) fn lines(header: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, title)| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| measure_text_width(cell))
                .chain([title.len()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        let mut owed = 0;
        for (cell, width) in cells.zip(&widths) {
            line.push_str(&" ".repeat(owed));
            line.push_str(cell);
            owed = (width + GAP).saturating_sub(measure_text_width(cell));
        }
        line
    };
    std::iter::once(line(&mut header.iter().copied()))
        .chain(
            rows.iter()
                .map(|row| line(&mut row.iter().map(String::as_str))),
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_four_spaces_apart_with_nothing_trailing() {
        let rows = [
            vec!["python:latest".to_owned(), "1 B".to_owned()],
            vec!["wörld".to_owned(), "12 B".to_owned()],
        ];
        assert_eq!(
            lines(&["REFERENCE", "SIZE"], &rows),
            [
                "REFERENCE        SIZE",
                "python:latest    1 B",
                "wörld            12 B",
            ]
        );
    }
}
