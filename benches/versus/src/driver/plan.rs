//! What is measured, in which order: peers that take turns stand together.

use clap::ValueEnum;

use super::cell::Cell;
use super::options::{Extent, Options};
use crate::peers::PEERS;
use crate::workloads::{Case, Workload};

/// What is measured with io_uring denied: the kinds of work that differ most in what they need of
/// the kernel.
const DENIED: [(Workload, Case); 3] =
    [(Workload::Echo, Case::of(64).sized(64)), (Workload::Read, Case::of(32)), (Workload::Unified, Case::of(32))];

pub fn cells(options: &Options, extent: Extent) -> Vec<Cell> {
    let everywhere = || cases(options, extent).into_iter();
    if options.deny_io_uring {
        return everywhere().flat_map(|(workload, case)| row(options, workload, case, true)).collect();
    }
    let free = everywhere().flat_map(|(workload, case)| row(options, workload, case, false));
    let denied = DENIED.into_iter().filter(|(workload, case)| options.wants(*workload, case));
    free.chain(denied.flat_map(|(workload, case)| row(options, workload, case, true))).collect()
}

pub fn cases(options: &Options, extent: Extent) -> Vec<(Workload, Case)> {
    let rates = options.rates();
    let of = |workload: Workload| {
        let closed = match extent {
            Extent::Full => workload.cases(),
            Extent::Quick => vec![workload.quick_case()],
        };
        closed.into_iter().chain(workload.open_case(&rates))
    };
    let all = Workload::value_variants().iter().flat_map(|&workload| of(workload).map(move |case| (workload, case)));
    all.filter(|(workload, case)| options.wants(*workload, case)).collect()
}

/// One case, for all peers that can do it.
fn row(options: &Options, workload: Workload, case: Case, io_uring_denied: bool) -> impl Iterator<Item = Cell> {
    let able = PEERS.iter().filter(move |peer| options.wants_peer(peer) && peer.can(workload, &case));
    able.map(move |peer| Cell::new(workload, case, peer, io_uring_denied))
}
