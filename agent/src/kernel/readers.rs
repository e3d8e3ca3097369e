//! The readers of protocols: pairs of programs that the `cgroup_skb` hooks jump to.
//!
//! Programs and their places in the two arrays are pinned like links, so a reader outlives the
//! daemon, and an adopted run finds it by its name.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{Map, MapData, ProgramArray},
    programs::{CgroupSkb, ProgramFd},
};

use super::{attach::Hook, bpffs::Pins};

/// Array of each side and the ending of its programs' names.
const SIDES: [(&str, &str); 2] = [("INGRESS_READERS", "_in"), ("EGRESS_READERS", "_out")];

fn program<'a>(hook: &Hook, ending: &str, ebpf: &'a mut Ebpf) -> Result<&'a mut CgroupSkb> {
    let name = format!("{}{ending}", hook.program);
    let program = ebpf
        .program_mut(&name)
        .with_context(|| format!("the kernel object has no program {name}"))?;
    Ok(program.try_into()?)
}

/// Pin of one program of a reader. The first one has the hook's name, as links have.
fn pin(hook: &Hook, ending: &str, pins: &Pins) -> PathBuf {
    match ending {
        "_in" => pins.link(hook.name),
        _ => pins.link(&format!("{}{ending}", hook.name)),
    }
}

/// Loads both programs of a reader into the kernel.
pub fn load(hook: &Hook, ebpf: &mut Ebpf) -> Result<()> {
    for (_, ending) in SIDES {
        program(hook, ending, ebpf)?.load()?;
    }
    Ok(())
}

/// Puts both programs of a reader into their arrays, and pins them.
pub fn attach(hook: &Hook, protocol: u8, ebpf: &mut Ebpf, pins: &Pins) -> Result<()> {
    for (array, ending) in SIDES {
        let fd: ProgramFd = program(hook, ending, ebpf)?.fd()?.try_clone()?;
        open(array, pins)?
            .set(u32::from(protocol), &fd, 0)
            .with_context(|| format!("put the reader of {} into {array}", hook.name))?;
        let pin = pin(hook, ending, pins);
        if pin.exists() {
            std::fs::remove_file(&pin).with_context(|| format!("remove {}", pin.display()))?;
        }
        program(hook, ending, ebpf)?
            .pin(&pin)
            .with_context(|| format!("pin the reader of {} at {}", hook.name, pin.display()))?;
    }
    Ok(())
}

fn open(array: &str, pins: &Pins) -> Result<ProgramArray<MapData>> {
    let path = pins.map(array);
    let data = MapData::from_pin(&path).with_context(|| format!("open {}", path.display()))?;
    ProgramArray::try_from(Map::ProgramArray(data)).with_context(|| format!("map {array}"))
}

/// Takes every reader out of its array: programs there would be freed only after the hooks.
pub fn clear(pins: &Pins) {
    for (array, _) in SIDES {
        let Ok(mut array) = open(array, pins) else {
            continue;
        };
        let taken: Vec<u32> = array.indices().flatten().collect();
        for index in taken {
            let _ = array.clear_index(&index);
        }
    }
}
