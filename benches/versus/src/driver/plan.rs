//! What is measured, in which order: the cells of one case are neighbours.

use clap::ValueEnum;

use super::cell::{Cell, Role};
use super::options::{Extent, Options};
use super::targets::OURS;
use crate::peers::PEERS;
use crate::workloads::{Case, Workload};

/// What is measured with io_uring denied: the kinds of work that differ most in what they need of
/// the kernel.
const DENIED: [(Workload, Case); 3] =
    [(Workload::Echo, Case::of(64).sized(64)), (Workload::Read, Case::of(32)), (Workload::Unified, Case::of(32))];

pub fn cells(options: &Options, extent: Extent) -> Vec<Cell> {
    let everywhere = cases(options, extent).into_iter();
    if options.deny_io_uring {
        return everywhere.flat_map(|(workload, case)| peers(options, workload, case, true)).collect();
    }
    let allowed = everywhere.flat_map(|(workload, case)| {
        let controls = if extent == Extent::Full { controls(options, workload, case) } else { Vec::new() };
        peers(options, workload, case, false).chain(controls)
    });
    let denied = DENIED.into_iter().filter(|(workload, case)| options.wants(*workload, case));
    allowed.chain(denied.flat_map(|(workload, case)| peers(options, workload, case, true))).collect()
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
fn peers(options: &Options, workload: Workload, case: Case, io_uring_denied: bool) -> impl Iterator<Item = Cell> {
    let able = PEERS.iter().filter(move |peer| options.wants_peer(peer) && peer.can(workload, &case));
    able.map(move |peer| Cell::new(workload, case, peer, Role::Peer, io_uring_denied))
}

/// What ours is compared with besides the peers.
fn controls(options: &Options, workload: Workload, case: Case) -> Vec<Cell> {
    let ours = PEERS.iter().find(|peer| peer.name == OURS && options.wants_peer(peer));
    let is_beside_idle = case.idle > 0 && case.many > 0;
    let roles = [Some(Role::Again), is_beside_idle.then_some(Role::WithoutIdle)];
    let cell = |role| Some(Cell::new(workload, case, ours?, role, false));
    roles.into_iter().flatten().filter_map(cell).collect()
}
