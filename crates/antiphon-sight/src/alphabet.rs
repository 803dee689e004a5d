//! The letters that the reading network knows, and how its answer becomes text.

/// Letters by their number in the network's answer; 0 is none.
pub(crate) struct Alphabet(Vec<String>);

impl Alphabet {
    /// `lines` has one letter each, as the network's file keeps them. Before them is none, after them the space.
    pub(crate) fn new(lines: &str) -> Self {
        let letters = lines.lines().map(ToOwned::to_owned);
        Self(std::iter::once(String::new()).chain(letters).chain([" ".to_owned()]).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The text of the likeliest letters, and the mean of their chances; `chances` has one row for each position.
    ///
    /// A letter that goes on over several positions is one; between two equal ones the network says none.
    pub(crate) fn read(&self, chances: &[f32]) -> (String, f32) {
        let (mut text, mut sum, mut letters, mut before) = (String::new(), 0.0, 0_u32, 0);
        for position in chances.chunks_exact(self.len()) {
            let likeliest = position.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            let Some((letter, &chance)) = likeliest else { continue };
            if letter != 0 && letter != before {
                text.push_str(&self.0[letter]);
                sum += chance;
                letters += 1;
            }
            before = letter;
        }
        (text, if letters == 0 { 0.0 } else { sum / letters as f32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads positions of (likeliest letter, its chance).
    fn read(positions: &[(usize, f32)]) -> (String, f32) {
        let alphabet = Alphabet::new("a\nã\n");
        assert_eq!(alphabet.len(), 4);
        let mut chances = Vec::new();
        for &(letter, chance) in positions {
            let mut position = [(1.0 - chance) / 3.0; 4];
            position[letter] = chance;
            chances.extend(position);
        }
        alphabet.read(&chances)
    }

    #[test]
    fn letters_that_go_on_are_one_and_none_divides_equal_ones() {
        assert_eq!(read(&[(0, 0.9), (1, 1.0), (1, 0.5), (0, 0.9), (1, 0.5), (2, 0.75)]), ("aaã".to_owned(), 0.75));
        assert_eq!(read(&[(1, 1.0), (3, 1.0), (2, 1.0)]), ("a ã".to_owned(), 1.0));
    }

    #[test]
    fn no_letters_are_no_text() {
        assert_eq!(read(&[(0, 0.9), (0, 0.9)]), (String::new(), 0.0));
        assert_eq!(read(&[]), (String::new(), 0.0));
    }
}
