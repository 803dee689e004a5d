//! Text that grows up to a number of characters.

#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) text: String,
    pub(crate) is_cut: bool,
    left: usize,
}

impl Output {
    pub(crate) fn new(most: usize) -> Self {
        Self { text: String::new(), is_cut: false, left: most }
    }

    pub(crate) fn push(&mut self, character: char) {
        if self.is_cut || self.left == 0 {
            self.is_cut = true;
        } else {
            self.left -= 1;
            self.text.push(character);
        }
    }

    pub(crate) fn push_str(&mut self, text: &str) {
        for character in text.chars() {
            self.push(character);
            if self.is_cut {
                return;
            }
        }
    }

    /// A cell's text where a row of Markdown can hold it.
    pub(crate) fn push_cell(&mut self, text: &str) {
        for character in text.trim().chars() {
            match character {
                '|' => self.push_str("\\|"),
                _ if character.is_whitespace() => self.push(' '),
                _ if character.is_control() => {}
                _ => self.push(character),
            }
        }
    }

    /// `| a | b |`, and below the first row of a table the line that makes it one.
    pub(crate) fn push_row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>, is_first: bool) {
        let mut count = 0;
        self.push('|');
        for cell in cells {
            self.push(' ');
            self.push_cell(cell);
            self.push_str(" |");
            count += 1;
        }
        self.push('\n');
        if is_first {
            self.push('|');
            (0..count).for_each(|_| self.push_str("---|"));
            self.push('\n');
        }
    }
}
