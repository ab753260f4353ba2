//! A table, for the terminal and as Markdown.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

pub struct Sheet {
    header: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Copy)]
pub enum Column {
    /// Aligned to the left.
    Words(&'static str),
    /// Aligned to the right.
    Figures(&'static str),
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Column::Words(name) | Column::Figures(name) => name,
        }
    }
}

impl Sheet {
    /// Each row has as many fields as the header.
    pub fn new(header: &[Column], rows: impl Iterator<Item = Vec<String>>) -> Sheet {
        Sheet { header: header.to_vec(), rows: rows.collect() }
    }

    /// Leaves out a column, and all that are empty.
    pub fn without(mut self, name: &str) -> Sheet {
        let says = |field: &String| !field.is_empty() && field != "-";
        let kept: Vec<bool> = (0..self.header.len())
            .map(|at| self.header[at].name() != name && self.rows.iter().any(|row| says(&row[at])))
            .collect();
        fn keep<T>(all: &mut Vec<T>, kept: &[bool]) {
            let mut kept = kept.iter();
            all.retain(|_| *kept.next().expect("a row is as long as the header"));
        }
        keep(&mut self.header, &kept);
        self.rows.iter_mut().for_each(|row| keep(row, &kept));
        self
    }

    pub fn for_terminal(&self) -> Table {
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(self.header.iter().map(|column| column.name()));
        for row in &self.rows {
            table.add_row(row);
        }
        for (column, heading) in table.column_iter_mut().zip(&self.header) {
            column.set_cell_alignment(match heading {
                Column::Words(_) => CellAlignment::Left,
                Column::Figures(_) => CellAlignment::Right,
            });
        }
        table
    }

    pub fn as_markdown(&self) -> String {
        let line = |fields: &[String]| format!("| {} |\n", fields.join(" | "));
        let names: Vec<String> = self.header.iter().map(|column| column.name().to_owned()).collect();
        let rules: Vec<String> = self
            .header
            .iter()
            .map(|column| match column {
                Column::Words(_) => ":--".to_owned(),
                Column::Figures(_) => "--:".to_owned(),
            })
            .collect();
        let escaped = |row: &Vec<String>| row.iter().map(|field| escape(field)).collect::<Vec<_>>();
        let rows = self.rows.iter().map(|row| line(&escaped(row)));
        line(&names) + &line(&rules) + &rows.collect::<String>()
    }
}

/// Keeps text that somebody else chose in one field of a table, and from being mark-up.
fn escape(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|").replace('<', "&lt;").replace("&lt;=", "<=")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let rows = [["a|b", "-", "1", ""], ["<c>", "2", "2", ""]];
        let header = [Column::Words("what"), Column::Figures("some"), Column::Figures("all"), Column::Figures("none")];
        Sheet::new(&header, rows.into_iter().map(|row| row.map(str::to_owned).to_vec()))
    }

    #[test]
    fn markdown_keeps_fields_apart() {
        let text = sheet().as_markdown();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["| what | some | all | none |", "| :-- | --: | --: | --: |"]);
        assert_eq!(lines[2..], ["| a\\|b | - | 1 |  |", "| &lt;c> | 2 | 2 |  |"]);
    }

    #[test]
    fn without_leaves_out_empty_columns() {
        let text = sheet().without("all").as_markdown();
        assert_eq!(text, "| what | some |\n| :-- | --: |\n| a\\|b | - |\n| &lt;c> | 2 |\n");
    }
}
