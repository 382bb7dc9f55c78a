//! A batch as columns: one array a statement's parameter, whatever the number of appends.

use bytes::{BufMut, BytesMut};
use jiff::Timestamp;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use super::super::writes::{Settled, Writes};

/// The parameters of each statement in [`Packets::rows`]; `None` for a statement that has nothing to do.
pub(super) struct Columns<'a>(pub(super) [Option<Vec<Column<'a>>>; 6]);

impl<'a> Columns<'a> {
    pub(super) fn of(writes: &Writes<'a>, at: Timestamp) -> Self {
        let claims = || writes.claims.iter().map(|(settled, _)| settled);
        let owners = writes.claims.iter().map(|(_, owner)| *owner).collect();
        let mut claimed = settled(claims);
        claimed.extend([Column::Uuids(owners), Column::Time(at)]);
        let mut keys = settled(|| writes.keys.iter());
        keys.push(Column::Time(at));
        let columns = [
            (writes.events.is_empty(), events(writes, at)),
            (writes.names.is_empty(), names(writes)),
            (writes.keys.is_empty(), keys),
            (writes.claims.is_empty(), claimed),
            (writes.timers.set.is_empty(), timers_set(writes)),
            (writes.timers.cleared.is_empty(), timers_cleared(writes)),
        ];
        Self(columns.map(|(empty, columns)| (!empty).then_some(columns)))
    }

    /// The parameters of `stanchion_write`: events, names, keys. `None` where there is more to write, or no event.
    pub(super) fn together(writes: &Writes<'a>, at: Timestamp) -> Option<Vec<Column<'a>>> {
        let timers = &writes.timers;
        let more =
            !writes.claims.is_empty() || !timers.set.is_empty() || !timers.cleared.is_empty();
        if more || writes.events.is_empty() {
            return None;
        }
        let mut columns = events(writes, at);
        columns.extend(names(writes));
        columns.extend(settled(|| writes.keys.iter()));
        Some(columns)
    }
}

fn events<'a>(writes: &Writes<'a>, at: Timestamp) -> Vec<Column<'a>> {
    let all = || writes.events.iter();
    let sum = |event: &super::super::writes::Event<'_>| {
        super::super::rows::checksum(event.sum, event.version)
    };
    vec![
        Column::Uuids(all().map(|event| event.ready.key).collect()),
        Column::Longs(all().map(|event| event.version).collect()),
        Column::Uuids(all().map(|event| event.event.id).collect()),
        Column::Texts(
            all()
                .map(|event| event.ready.append.stream.category())
                .collect(),
        ),
        Column::Texts(all().map(|event| event.event.kind.as_str()).collect()),
        Column::Texts(all().map(|event| event.event.data.as_str()).collect()),
        Column::Texts(all().map(|event| event.ready.meta.as_str()).collect()),
        Column::Longs(all().map(sum).collect()),
        Column::Time(at),
    ]
}

fn names<'a>(writes: &Writes<'a>) -> Vec<Column<'a>> {
    let all = || writes.names.iter().copied();
    vec![
        Column::Uuids(all().map(|ready| ready.key).collect()),
        Column::Texts(all().map(|ready| ready.append.stream.category()).collect()),
        Column::Texts(all().map(|ready| ready.append.stream.id()).collect()),
    ]
}

fn settled<'a: 'b, 'b, I: Iterator<Item = &'b Settled<'a>>>(
    all: impl Fn() -> I,
) -> Vec<Column<'a>> {
    vec![
        Column::Texts(all().map(|settled| settled.entry.key.as_str()).collect()),
        Column::Longs(all().map(|settled| settled.back).collect()),
        Column::Bytes(
            all()
                .map(|settled| settled.entry.answer.as_deref())
                .collect(),
        ),
    ]
}

fn timers_set<'a>(writes: &Writes<'a>) -> Vec<Column<'a>> {
    let all = || writes.timers.set.iter();
    vec![
        Column::Uuids(all().map(|(ready, ..)| ready.key).collect()),
        Column::Texts(all().map(|(_, name, _)| *name).collect()),
        Column::Texts(
            all()
                .map(|(ready, ..)| ready.append.stream.category())
                .collect(),
        ),
        Column::Times(all().map(|(.., due_at)| *due_at).collect()),
    ]
}

fn timers_cleared<'a>(writes: &Writes<'a>) -> Vec<Column<'a>> {
    let all = || writes.timers.cleared.iter();
    vec![
        Column::Uuids(all().map(|(ready, _)| ready.key).collect()),
        Column::Texts(all().map(|(_, name)| *name).collect()),
    ]
}

/// One parameter: an array, or the batch's time.
#[derive(Debug)]
pub(super) enum Column<'a> {
    Uuids(Vec<Uuid>),
    Longs(Vec<i64>),
    Texts(Vec<&'a str>),
    Bytes(Vec<Option<&'a [u8]>>),
    Times(Vec<Timestamp>),
    Time(Timestamp),
}

type Failure = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for Column<'_> {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        if let Self::Time(at) = self {
            return at.to_sql(wanted, out);
        }
        let Kind::Array(member) = wanted.kind() else {
            return Err(format!("{wanted} is no array").into());
        };
        match self {
            Self::Uuids(all) => array(member, all, out, |id, out| {
                sized(out, |out| put(out, id.as_bytes()))
            }),
            Self::Longs(all) => array(member, all, out, |number, out| {
                sized(out, |out| put(out, &number.to_be_bytes()))
            }),
            // `json` is sent as its text.
            Self::Texts(all) => array(member, all, out, |text, out| {
                sized(out, |out| put(out, text.as_bytes()))
            }),
            Self::Bytes(all) => array(member, all, out, |bytes, out| match bytes {
                Some(bytes) => sized(out, |out| put(out, bytes)),
                None => {
                    out.put_i32(-1);
                    Ok(())
                }
            }),
            Self::Times(all) => array(member, all, out, |at, out| {
                sized(out, |out| at.to_sql(member, out).map(drop))
            }),
            Self::Time(_) => Ok(()),
        }?;
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn put(out: &mut BytesMut, bytes: &[u8]) -> Result<(), Failure> {
    out.put_slice(bytes);
    Ok(())
}

/// One dimension from 1, its members each with their length.
fn array<T>(
    member: &Type,
    all: &[T],
    out: &mut BytesMut,
    write: impl Fn(&T, &mut BytesMut) -> Result<(), Failure>,
) -> Result<(), Failure> {
    out.put_i32(1);
    // Whether one of them is null; the server looks for itself.
    out.put_i32(1);
    out.put_u32(member.oid());
    out.put_i32(i32::try_from(all.len())?);
    out.put_i32(1);
    all.iter().try_for_each(|one| write(one, out))
}

fn sized(
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let start = out.len();
    out.put_i32(0);
    write(out)?;
    let size = i32::try_from(out.len() - start - 4)?;
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
    Ok(())
}
