//! The readers of protocols: programs that the `cgroup_skb` hooks jump to.
//!
//! Programs and their places in the array are pinned like links, so a reader outlives the daemon,
//! and an adopted run finds it by its name.

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{Map, MapData, ProgramArray},
    programs::{CgroupSkb, ProgramFd},
};

use super::{attach::Hook, bpffs::Pins};

const ARRAY: &str = "READERS";

fn program<'a>(hook: &Hook, ebpf: &'a mut Ebpf) -> Result<&'a mut CgroupSkb> {
    let program = ebpf
        .program_mut(hook.program)
        .with_context(|| format!("the kernel object has no program {}", hook.program))?;
    Ok(program.try_into()?)
}

/// Puts a reader into the array, and pins it.
pub fn attach(hook: &Hook, protocol: u8, ebpf: &mut Ebpf, pins: &Pins) -> Result<()> {
    let program = program(hook, ebpf)?;
    let fd: ProgramFd = program.fd()?.try_clone()?;
    open(pins)?
        .set(u32::from(protocol), &fd, 0)
        .with_context(|| format!("put the reader of {} into {ARRAY}", hook.name))?;
    let pin = pins.link(hook.name);
    if pin.exists() {
        std::fs::remove_file(&pin).with_context(|| format!("remove {}", pin.display()))?;
    }
    program
        .pin(&pin)
        .with_context(|| format!("pin the reader of {} at {}", hook.name, pin.display()))
}

fn open(pins: &Pins) -> Result<ProgramArray<MapData>> {
    let path = pins.map(ARRAY);
    let data = MapData::from_pin(&path).with_context(|| format!("open {}", path.display()))?;
    ProgramArray::try_from(Map::ProgramArray(data)).with_context(|| format!("map {ARRAY}"))
}

/// Takes every reader out of the array: programs there would be freed only after the hooks.
pub fn clear(pins: &Pins) {
    let Ok(mut array) = open(pins) else {
        return;
    };
    let taken: Vec<u32> = array.indices().flatten().collect();
    for index in taken {
        let _ = array.clear_index(&index);
    }
}
