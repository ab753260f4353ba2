//! The buffer: its address, its window, and the conversions from and to a `Vec`.

use std::ops::Bound;
use std::panic::catch_unwind;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::super::Buf;

fn panic_text(f: impl FnOnce() -> Buf + std::panic::UnwindSafe) -> String {
    let payload = catch_unwind(f).expect_err("panics");
    *payload.downcast::<String>().expect("a formatted text")
}

/// A range within `len`, from two numbers of any size.
fn range_within(len: usize, a: usize, b: usize) -> std::ops::Range<usize> {
    let (a, b) = (a % (len + 1), b % (len + 1));
    a.min(b)..a.max(b)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(2),
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_aligned_buffer_is_aligned_and_zeroed(len in 0_usize..10_000, shift in 0_u32..16) {
        let align = 1 << shift;
        let buf = Buf::aligned(len, align);
        prop_assert_eq!(buf.len(), len);
        prop_assert!(buf.as_ptr().addr().is_multiple_of(align));
        prop_assert!(buf.iter().all(|byte| *byte == 0));
        let address = buf.as_ptr();
        let moved = Box::new(buf);
        prop_assert_eq!(moved.as_ptr(), address, "its bytes do not move with the `Buf`");
    }

    #[test]
    fn an_aligned_buffer_shares_no_page(lens in proptest::collection::vec(1_usize..6000, 1..20)) {
        let page = rustix::param::page_size();
        // The neighbours are of all sizes, too.
        let bufs: Vec<(Buf, Box<[u8]>)> =
            lens.iter().map(|len| (Buf::aligned(*len, 512), vec![0; len % 700 + 1].into())).collect();
        let pages = |bytes: &[u8]| bytes.as_ptr().addr() / page..=(bytes.as_ptr().addr() + bytes.len() - 1) / page;
        let others = bufs.iter().flat_map(|(buf, other)| [&buf[..], other]);
        let mut taken: Vec<_> = others.map(pages).collect();
        for buf in bufs.iter().map(|(buf, _)| pages(buf)) {
            let own = taken.iter().position(|pages| *pages == buf).unwrap();
            taken.swap_remove(own);
            prop_assert!(!taken.iter().any(|other| other.start() <= buf.end() && buf.start() <= other.end()));
        }
    }

    #[test]
    fn slices_narrow_the_window(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        align in prop_oneof![Just(None), (0_u32..13).prop_map(|shift| Some(1_usize << shift))],
        cuts in proptest::collection::vec(any::<(usize, usize)>(), 0..5),
        fill in any::<u8>(),
    ) {
        let mut whole = bytes.clone();
        let mut buf = match align {
            None => Buf::from(bytes),
            Some(align) => {
                let mut buf = Buf::aligned(bytes.len(), align);
                buf.copy_from_slice(&bytes);
                buf
            }
        };
        let start = buf.as_ptr().addr();
        let mut window = 0..whole.len();
        for (a, b) in cuts {
            let cut = range_within(window.len(), a, b);
            window = window.start + cut.start..window.start + cut.end;
            buf = buf.slice(cut);
            prop_assert_eq!(&buf[..], &whole[window.clone()]);
            prop_assert_eq!(buf.as_ptr().addr(), start + window.start, "no byte has moved");
        }
        // Bytes written through the window are seen there, and only there, once it is widened.
        buf.fill(fill);
        whole[window.clone()].fill(fill);
        let positions = buf.window();
        let buf = buf.unslice();
        prop_assert_eq!(&buf[..], &whole[..]);
        let buf = buf.with_window(positions);
        prop_assert_eq!(&buf[..], &whole[window.clone()]);
        prop_assert_eq!(Vec::from(buf), &whole[window]);
    }

    #[test]
    fn a_vec_goes_in_and_out_without_a_copy(
        bytes in proptest::collection::vec(any::<u8>(), 1..300),
        end in any::<usize>(),
    ) {
        let expected = bytes.clone();
        let address = bytes.as_ptr();
        let buf = Buf::from(bytes);
        prop_assert_eq!(buf.as_ptr(), address);
        let end = end % (expected.len() + 1);
        let bytes = Vec::from(buf.slice(..end));
        prop_assert_eq!(&bytes[..], &expected[..end]);
        prop_assert_eq!(bytes.as_ptr(), address);
    }
}

#[test]
fn a_boxed_slice_goes_in_without_a_copy() {
    let bytes = b"hello world".to_vec().into_boxed_slice();
    let address = bytes.as_ptr();
    let buf = Buf::from(bytes);
    assert_eq!((buf.as_ptr(), &buf[..]), (address, &b"hello world"[..]));
}

#[test]
fn only_a_vec_without_length_has_spare_capacity() {
    let reserved = Vec::with_capacity(4096);
    let capacity = reserved.capacity();
    assert_eq!(Buf::from(reserved).spare_capacity(), capacity);
    let mut filled = Vec::with_capacity(4096);
    filled.push(0);
    for buf in [Buf::default(), Buf::from(Vec::new()), Buf::zeroed(8).slice(..0), Buf::from(filled)] {
        assert_eq!(buf.spare_capacity(), 0);
    }
    for align in (0..13).map(|shift| 1 << shift) {
        assert_eq!(Buf::aligned(0, align).spare_capacity(), 0);
    }
}

#[test]
fn all_kinds_of_ranges_slice() {
    let buf = || Buf::from(b"hello world".to_vec());
    assert_eq!(&buf().slice(..)[..], b"hello world");
    assert_eq!(&buf().slice(6..)[..], b"world");
    assert_eq!(&buf().slice(..5)[..], b"hello");
    assert_eq!(&buf().slice(..=4)[..], b"hello");
    assert_eq!(&buf().slice(2..=2)[..], b"l");
    assert_eq!(&buf().slice((Bound::Excluded(5), Bound::Unbounded))[..], b"world");
    assert_eq!(&buf().slice(11..)[..], b"");
    assert_eq!(buf().slice(6..).slice(1..3).unslice(), buf());
}

#[test]
fn a_range_that_is_out_of_bounds_panics_with_the_numbers() {
    let buf = || Buf::zeroed(8).slice(2..);
    assert_eq!(panic_text(|| buf().slice(..7)), "Buf::slice: 0..7 is out of the bounds of 6 bytes");
    assert_eq!(panic_text(|| buf().slice(7..)), "Buf::slice: 7..6 is out of the bounds of 6 bytes");
    #[expect(clippy::reversed_empty_ranges, reason = "a user's mistake")]
    let reversed = || buf().slice(3..2);
    assert_eq!(panic_text(reversed), "Buf::slice: 3..2 is out of the bounds of 6 bytes");
    assert!(panic_text(|| buf().slice(..=usize::MAX)).contains("out of the bounds of 6 bytes"));
    assert!(panic_text(|| buf().slice(usize::MAX..)).contains("out of the bounds of 6 bytes"));
}

#[test]
fn an_alignment_that_is_not_a_power_of_two_panics() {
    for align in [0, 3, 4095] {
        let text = panic_text(move || Buf::aligned(8, align));
        assert_eq!(text, format!("Buf::aligned: the alignment {align} is not a power of two"));
    }
}

#[test]
fn buffers_compare_by_window() {
    let mut aligned = Buf::aligned(5, 64);
    aligned.copy_from_slice(b"world");
    assert_eq!(aligned, Buf::from(b"hello world".to_vec()).slice(6..));
    assert_ne!(aligned, Buf::from(b"hello world".to_vec()));
    assert_eq!(Buf::default(), Buf::zeroed(0));
    assert_eq!(format!("{aligned:?}"), "Buf { len: 5, .. }", "contents may be secret, and long");
}
