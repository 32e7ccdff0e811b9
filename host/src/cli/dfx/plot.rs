//! A signal drawn with Braille: two by four dots a character.

/// The dots of one character, by row and column.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// `samples` as `height` lines of `width` characters, from the smallest to the largest value.
pub(super) fn plot(samples: &[f64], width: usize, height: usize) -> Vec<String> {
    let (columns, rows) = (width * 2, height * 4);
    let (lowest, highest) = range(samples);
    let span = if highest > lowest { highest - lowest } else { 1.0 };
    let mut cells = vec![vec![0_u32; width]; height];
    let mut before = None;
    for column in 0..columns {
        let Some(sample) = samples.get(column * samples.len() / columns) else { continue };
        let row = rows - 1 - (((sample - lowest) / span) * (rows - 1) as f64).round() as usize;
        // Joined to the column before, so that steep slopes have no gaps.
        let from = before.replace(row).unwrap_or(row);
        for row in row.min(from)..=row.max(from) {
            cells[row / 4][column / 2] |= DOTS[row % 4][column % 2];
        }
    }
    let character = |dots: u32| char::from_u32(0x2800 + dots).unwrap_or(' ');
    cells.into_iter().map(|line| line.into_iter().map(character).collect()).collect()
}

/// The smallest and the largest value.
pub(super) fn range(samples: &[f64]) -> (f64, f64) {
    let lowest = samples.iter().copied().fold(f64::INFINITY, f64::min);
    (lowest, samples.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_goes_from_the_bottom_left_to_the_top_right() {
        let lines = plot(&(0..8).map(f64::from).collect::<Vec<_>>(), 4, 2);
        assert_eq!(lines, ["⠀⠀⣠⠞", "⣠⠞⠁⠀"].map(str::to_owned));
    }

    #[test]
    fn odd_signals_are_drawn_without_harm() {
        assert_eq!(plot(&[], 2, 1), ["⠀⠀"]);
        assert_eq!(plot(&[7.0; 3], 1, 1), ["⣀"]);
    }
}
