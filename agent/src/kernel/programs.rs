//! Loads the programs of all hooks.
//!
//! Nearly all of the time goes to the kernel's verifier, which takes programs of a privileged caller
//! side by side: so they are loaded by as many threads as there are processors.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::Result;
use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, CgroupSkb, CgroupSock, CgroupSockAddr, Program, SockOps},
};

use super::attach::{HOOKS, Hook, Kind, RECV};

/// What became of the program of each hook, by the hook's name. One that is not in the object is
/// not among them.
pub fn load_all(ebpf: &mut Ebpf, btf: &Btf) -> BTreeMap<&'static str, Result<()>> {
    let mut jobs: Vec<(&Hook, &mut Program)> = ebpf
        .programs_mut()
        .filter_map(|(name, program)| {
            let hook = HOOKS.iter().find(|hook| hook.program == name)?;
            Some((hook, program))
        })
        .collect();
    // The last ones are taken first: those that take longest.
    jobs.sort_by_key(|(hook, _)| is_long(hook));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (jobs, done) = (Mutex::new(jobs), Mutex::new(BTreeMap::new()));
    let work = || {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((hook, program)) = job else {
                return;
            };
            let result = load(hook, program, btf);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.insert(hook.name, result);
        }
    };
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// True for programs that read packets.
fn is_long(hook: &Hook) -> bool {
    matches!(
        hook.kind,
        Kind::Ingress | Kind::Egress | Kind::Reader(_) | Kind::SockOps
    )
}

fn load(hook: &Hook, program: &mut Program, btf: &Btf) -> Result<()> {
    if hook.name == RECV {
        // It reads fields whose places the loader has to know.
        super::btf::copied_seq()?;
        super::btf::socket_family()?;
    }
    match hook.kind {
        Kind::SockOps => <&mut SockOps>::try_from(program)?.load()?,
        Kind::Ingress | Kind::Egress | Kind::Reader(_) | Kind::Run => {
            <&mut CgroupSkb>::try_from(program)?.load()?;
        }
        Kind::SockAddr => <&mut CgroupSockAddr>::try_from(program)?.load()?,
        Kind::Sock => <&mut CgroupSock>::try_from(program)?.load()?,
        Kind::Tracepoint(name) => <&mut BtfTracePoint>::try_from(program)?.load(name, btf)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_hook_has_a_program_of_its_own() {
        let programs: BTreeSet<_> = HOOKS.iter().map(|hook| hook.program).collect();
        assert_eq!(programs.len(), HOOKS.len());
    }
}
