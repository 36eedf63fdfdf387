use proptest::prelude::*;

use super::*;

proptest! {
    /// Pieces are whole lines, and as many as a pipe takes at once.
    #[test]
    fn pieces_are_whole_lines(lengths in prop::collection::vec(0..6000_usize, 1..40)) {
        let text: String = lengths.iter().map(|length| format!("{}\n", "y".repeat(*length))).collect();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(piece_length(rest));
            prop_assert!(piece.ends_with('\n'));
            prop_assert!(piece.len() <= PIECE || piece.matches('\n').count() == 1, "{}", piece.len());
            let next = behind.split_inclusive('\n').next().map_or(PIECE, str::len);
            prop_assert!(piece.len() + next > PIECE);
            rest = behind;
        }
    }
}
