//! A disk in memory that fails where it is told to, and forgets what was not synced when its power is cut.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::disk::{Disk, DiskFile};

/// What happens at the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The call fails, and so does every later one: the power is gone.
    PowerCut,
    /// The call alone fails.
    Error,
}

/// What becomes of bytes that were written and not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsynced {
    Lost,
    Kept,
    /// The first half of them is kept.
    Torn,
    /// They are there, but the first of them is wrong: a page that was not written before later ones were.
    Reordered,
}

#[derive(Debug, Default, Clone)]
struct File {
    bytes: Vec<u8>,
    /// What a power cut leaves.
    synced: Vec<u8>,
    /// What was written and not synced.
    dirty: Range<usize>,
}

impl File {
    /// Writes over what is there, and beyond it.
    fn write(&mut self, at: usize, bytes: &[u8]) {
        let until = at + bytes.len();
        self.bytes.resize(self.bytes.len().max(until), 0);
        self.bytes[at..until].copy_from_slice(bytes);
        self.dirty = if self.dirty.is_empty() { at..until } else { self.dirty.start.min(at)..until };
    }

    fn sync(&mut self) {
        self.synced.clone_from(&self.bytes);
        self.dirty = 0..0;
    }

    /// What is there when the power is back.
    fn after_power_cut(&mut self, unsynced: Unsynced) {
        let Range { start, end } = self.dirty.clone();
        match unsynced {
            Unsynced::Kept => {}
            Unsynced::Lost => self.bytes.clone_from(&self.synced),
            Unsynced::Torn => {
                let half = start + (end - start) / 2;
                let kept = self.bytes[..half].to_vec();
                self.bytes.clone_from(&self.synced);
                if !self.dirty.is_empty() {
                    self.bytes.resize(self.bytes.len().max(half), 0);
                    self.bytes[..half].copy_from_slice(&kept);
                }
            }
            Unsynced::Reordered => self.bytes[start..end].iter_mut().take(16).for_each(|byte| *byte = 0),
        }
        self.sync();
    }
}

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<u64, File>,
    names: BTreeMap<String, u64>,
    /// The names that a power cut leaves.
    synced_names: BTreeMap<String, u64>,
    next: u64,
    calls: u64,
    fault: Option<(u64, Fault)>,
    dead: bool,
    free: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct FaultDisk {
    inner: Arc<Mutex<Inner>>,
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Counts a call that changes something, and fails it where it is the chosen one.
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        if let Some((at, fault)) = self.fault
            && at == self.calls
        {
            self.dead = fault == Fault::PowerCut;
            return Err(io::Error::other("injected"));
        }
        self.alive()
    }

    fn alive(&self) -> io::Result<()> {
        if self.dead { Err(io::Error::other("the power is gone")) } else { Ok(()) }
    }
}

impl FaultDisk {
    /// Fails the `at`-th changing call from now on, from 1.
    pub(super) fn fail(&self, at: u64, fault: Fault) {
        let mut inner = lock(&self.inner);
        inner.calls = 0;
        inner.fault = Some((at, fault));
    }

    /// Changing calls since [`FaultDisk::fail`].
    pub(super) fn calls(&self) -> u64 {
        lock(&self.inner).calls
    }

    /// What a free-space query answers.
    pub(super) fn set_free(&self, free: u64) {
        lock(&self.inner).free = Some(free);
    }

    /// Flips a bit of a file, as it lies there.
    pub(super) fn flip(&self, name: &str, bit: usize) {
        let mut inner = lock(&self.inner);
        let id = inner.names[name];
        if let Some(file) = inner.files.get_mut(&id) {
            file.bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    /// Changes a file, as it lies there.
    pub(super) fn edit(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = lock(&self.inner);
        let id = inner.names[name];
        if let Some(file) = inner.files.get_mut(&id) {
            change(&mut file.bytes);
            file.sync();
        }
    }

    /// The size of a file.
    pub(super) fn len(&self, name: &str) -> usize {
        let inner = lock(&self.inner);
        inner.files[&inner.names[name]].bytes.len()
    }

    /// What is there when the power is back.
    pub(super) fn after_power_cut(&self, unsynced: Unsynced) -> Arc<Self> {
        let inner = lock(&self.inner);
        let names = inner.synced_names.clone();
        let mut files = inner.files.clone();
        for file in files.values_mut() {
            file.after_power_cut(unsynced);
        }
        let next = inner.next;
        let inner = Inner { files, synced_names: names.clone(), names, next, ..Inner::default() };
        Arc::new(Self { inner: Arc::new(Mutex::new(inner)) })
    }
}

struct Handle {
    inner: Arc<Mutex<Inner>>,
    id: u64,
    /// Where it writes.
    end: AtomicUsize,
}

impl Handle {
    fn end(&self) -> usize {
        self.end.load(Ordering::Relaxed)
    }
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Disk for FaultDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = lock(&self.inner);
        inner.call()?;
        let id = inner.next;
        inner.next += 1;
        inner.files.insert(id, File::default());
        inner.names.insert(name.to_owned(), id);
        Ok(Arc::new(Handle { inner: Arc::clone(&self.inner), id, end: AtomicUsize::new(0) }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let inner = lock(&self.inner);
        inner.alive()?;
        let id = *inner.names.get(name).ok_or_else(not_found)?;
        let end = AtomicUsize::new(inner.files[&id].bytes.len());
        Ok(Arc::new(Handle { inner: Arc::clone(&self.inner), id, end }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        inner.call()?;
        let id = inner.names.remove(from).ok_or_else(not_found)?;
        inner.names.insert(to.to_owned(), id);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        inner.call()?;
        inner.names.remove(name).map(drop).ok_or_else(not_found)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let inner = lock(&self.inner);
        inner.alive()?;
        Ok(inner.names.keys().cloned().collect())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        inner.call()?;
        inner.synced_names = inner.names.clone();
        Ok(())
    }

    fn free(&self) -> io::Result<u64> {
        Ok(lock(&self.inner).free.unwrap_or(u64::MAX))
    }

    fn describe(&self, name: &str) -> String {
        name.to_owned()
    }
}

impl DiskFile for Handle {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        let result = inner.call();
        if let Some(file) = inner.files.get_mut(&self.id) {
            // A write that fails may have written some of it.
            let some = if result.is_ok() { bytes.len() } else { bytes.len() / 2 };
            file.write(self.end(), &bytes[..some]);
            self.end.fetch_add(some, Ordering::Relaxed);
        }
        result
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        inner.call()?;
        if let Some(file) = inner.files.get_mut(&self.id) {
            file.sync();
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let inner = lock(&self.inner);
        inner.alive()?;
        let file = inner.files.get(&self.id).ok_or_else(not_found)?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let until = start + buffer.len();
        let bytes = file.bytes.get(start..until).filter(|_| until <= self.end());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        let inner = lock(&self.inner);
        inner.alive()?;
        Ok(self.end() as u64)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        inner.call()?;
        let size = usize::try_from(size).map_err(io::Error::other)?;
        self.end.store(size, Ordering::Relaxed);
        if let Some(file) = inner.files.get_mut(&self.id) {
            file.bytes.truncate(size);
            file.synced.truncate(size);
            file.dirty = file.dirty.start.min(size)..file.dirty.end.min(size);
        }
        Ok(())
    }

    fn lay(&self, bytes: u64) {
        let mut inner = lock(&self.inner);
        if inner.alive().is_err() {
            return;
        }
        if let Some(file) = inner.files.get_mut(&self.id) {
            for all in [&mut file.bytes, &mut file.synced] {
                all.resize(all.len().max(self.end()) + usize::try_from(bytes).unwrap_or(0), 0);
            }
        }
    }

    fn laid(&self) -> u64 {
        let inner = lock(&self.inner);
        inner.files.get(&self.id).map_or(0, |file| file.bytes.len().saturating_sub(self.end()) as u64)
    }

    fn trim(&self) -> io::Result<()> {
        if self.laid() > 0 { self.truncate(self.end() as u64) } else { Ok(()) }
    }
}
