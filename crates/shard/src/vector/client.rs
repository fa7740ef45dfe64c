//! [`VectorClient`]: names to collections, points to shards, answers to one result. Validates before anything is sent.

use crate::{
    Caller, RoundRobin, ShardId, shard_of,
    vector::{
        Filter, Hit, Info, Point, PointId, Search, Spec, VectorError, VectorMessage, VectorReply, With,
        catalogue::Collections,
        entry::{Collection, Reservation},
        index::Watch,
        message::{Ask, Prepared},
        store::Commons,
        validate,
    },
};
use quintet_core::{Error, ErrorKind, Result};
use std::sync::{Arc, atomic::Ordering};

/// How often a write asks shards to make room for it.
const RESERVE_ATTEMPTS: u32 = 8;

/// One thread's access to a store. Every call blocks until all shards concerned have answered.
pub struct VectorClient {
    caller: Caller<VectorMessage, RoundRobin>,
    commons: Arc<Commons>,
    collections: Arc<Collections>,
    version: u64,
    /// The shard that follows the graph for the next search.
    turn: usize,
}

impl VectorClient {
    pub(super) fn new(caller: Caller<VectorMessage, RoundRobin>, commons: Arc<Commons>) -> Self {
        Self {
            caller,
            commons,
            collections: Arc::default(),
            version: 0,
            turn: 0,
        }
    }

    /// Makes a collection. Durable when it returns.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists), a field out of range, or
    /// [`VectorError::Manifest`] when it could not be stored.
    pub fn create(&mut self, name: &str, spec: Spec) -> Result<()> {
        self.change(|catalogue, root| catalogue.create(root, name, spec))
    }

    /// Removes a collection and all of its points. Durable when it returns; its memory is given back by then.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), or [`VectorError::Manifest`] when it could not be stored: the collection then
    /// refuses every use until the store is opened again.
    pub fn drop_collection(&mut self, name: &str) -> Result<()> {
        let collection = self.change(|catalogue, root| catalogue.remove(root, name))?;
        // A shard that does not run forgets by itself when it does again.
        let _told = self.caller.broadcast(|_| ask(&collection, Ask::Forget));
        Ok(())
    }

    fn change<R>(
        &self,
        change: impl FnOnce(&mut super::catalogue::Catalogue, &dyn quintet_log::Directory) -> Result<R>,
    ) -> Result<R> {
        self.commons.catalogue.with(|catalogue| {
            let result = change(catalogue, &*self.commons.root);
            self.commons.version.fetch_add(1, Ordering::Release);
            result
        })
    }

    /// The names of all collections, sorted.
    pub fn list(&mut self) -> Vec<String> {
        self.refresh();
        self.collections.keys().cloned().collect()
    }

    /// What a collection is and holds.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), or that of a shard.
    pub fn info(&mut self, name: &str) -> Result<Info> {
        let count = self.count(name, None)?;
        let collection = self.collection(name)?;
        let graph = collection.graph();
        Ok(Info {
            name: name.to_owned(),
            spec: collection.spec,
            count,
            bytes: collection.used_bytes(),
            cold_bytes: collection.disk_bytes(),
            indexed: graph.as_ref().map_or(0, |graph| graph.points() as u64),
            index_bytes: graph.as_ref().map_or(0, |graph| graph.link_bytes() as u64),
        })
    }

    /// Stores points; one that has the id of a stored point replaces it. Answers how many were stored, when they are as
    /// durable as configured. Each shard's share is stored whole or not at all.
    ///
    /// # Errors
    /// [`VectorError::Point`] names what is wrong with which point, [`VectorError::OverBudget`],
    /// [`VectorError::Cooling`] and [`VectorError::Field`] what is wrong with the batch, [`VectorError::IndexBehind`] that it came too early: nothing of
    /// it was stored. [`VectorError::Partial`] when a shard failed.
    pub fn upsert(&mut self, name: &str, points: Vec<Point>) -> Result<usize> {
        let collection = self.collection(name)?;
        let cost = validate::batch(&collection, &self.commons.config, &points)?;
        self.check_waiting(&collection)?;
        let _reservation = self.reserve(&collection, cost)?;
        self.write(&collection, points, |point| &point.id, Ask::Upsert)
    }

    /// Sets room for a batch aside; where there is none, shards first move points to files.
    fn reserve(&mut self, collection: &Arc<Collection>, needed_bytes: u64) -> Result<Reservation> {
        let mut attempts = 0;
        loop {
            let refused = match collection.reserve(needed_bytes) {
                Ok(reservation) => return Ok(reservation),
                Err(refused) => refused,
            };
            let is_in_vain = !self.commons.config.cold_tier || !collection.could_hold(needed_bytes);
            // Others may take what was made room for; they all ask for more room than they need.
            if is_in_vain || attempts == RESERVE_ATTEMPTS {
                return Err(refused.into());
            }
            attempts += 1;
            for answer in self
                .caller
                .broadcast(|_| ask(collection, Ask::Cool(needed_bytes)))
            {
                answer?;
            }
        }
    }

    /// Holds writes back while more points wait for the index than may.
    fn check_waiting(&self, collection: &Collection) -> Result<(), VectorError> {
        let is_alive = self.commons.indexing.as_ref().is_some_and(Watch::is_alive);
        let Some(index) = self.commons.config.index.as_ref().filter(|_| is_alive) else {
            return Ok(());
        };
        let (waiting_points, limit_points) = (collection.waiting_points(), index.max_waiting_points);
        if waiting_points < limit_points as u64 {
            return Ok(());
        }
        Err(VectorError::IndexBehind {
            name: collection.name.clone(),
            waiting_points,
            limit_points,
        })
    }

    /// Removes points and answers how many there were.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the collection; [`VectorError::Partial`] when a shard failed.
    pub fn delete(&mut self, name: &str, ids: Vec<PointId>) -> Result<usize> {
        let collection = self.collection(name)?;
        validate::ids(&self.commons.config, &ids)?;
        self.write(&collection, ids, |id| id, Ask::Delete)
    }

    fn write<T>(
        &mut self,
        collection: &Arc<Collection>,
        items: Vec<T>,
        id: impl Fn(&T) -> &PointId,
        make: impl Fn(Vec<T>) -> Ask,
    ) -> Result<usize> {
        let total = items.len();
        let parts = self.split(items, id);
        let sizes: Vec<usize> = parts.iter().map(|(_, part)| part.len()).collect();
        let questions = parts
            .into_iter()
            .map(|(shard, part)| (shard, ask(collection, make(part))));
        let answers = self.caller.call_each(questions);
        let (mut done, mut answered, mut failed) = (0, 0, None);
        for (size, answer) in sizes.into_iter().zip(answers) {
            match answer {
                Ok(VectorReply::Done(count)) => {
                    done += count;
                    answered += size;
                }
                Ok(other) => return Err(unexpected(&other)),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            None => Ok(done),
            Some(cause) => Err(VectorError::Partial {
                done: answered,
                total,
                cause,
            }
            .into()),
        }
    }

    /// What belongs to each shard, in the order that it was given in; shards without anything are left out.
    fn split<T>(&self, items: Vec<T>, id: impl Fn(&T) -> &PointId) -> Vec<(ShardId, Vec<T>)> {
        let mut parts: Vec<(ShardId, Vec<T>)> = (0..self.caller.shards().get())
            .map(|shard| (ShardId(shard), Vec::new()))
            .collect();
        for item in items {
            let shard = self.owner(id(&item));
            parts[shard.0].1.push(item);
        }
        parts.retain(|(_, part)| !part.is_empty());
        parts
    }

    fn owner(&self, id: &PointId) -> ShardId {
        let (number, name) = id.routing_key();
        shard_of(name.map_or(&number[..], str::as_bytes), self.caller.shards())
    }

    /// The points with these ids, in the same order; `None` where there is none.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the collection, too many ids, more than an answer may have, or that of a shard.
    pub fn get(&mut self, name: &str, ids: Vec<PointId>, with: With) -> Result<Vec<Option<Point>>> {
        let collection = self.collection(name)?;
        validate::wanted_ids(&self.commons.config, &ids)?;
        let mut found: Vec<Option<Point>> = ids.iter().map(|_| None).collect();
        let numbered: Vec<(usize, PointId)> = ids.into_iter().enumerate().collect();
        let parts = self.split(numbered, |(_, id)| id);
        let (mut places, mut questions) = (Vec::new(), Vec::new());
        for (shard, part) in parts {
            let (indices, ids): (Vec<usize>, Vec<PointId>) = part.into_iter().unzip();
            places.push(indices);
            questions.push((shard, ask(&collection, Ask::Get { ids, with })));
        }
        for (indices, answer) in places.into_iter().zip(self.caller.call_each(questions)) {
            let VectorReply::Points(points) = answer? else {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "a shard answered something else",
                ));
            };
            for (index, point) in indices.into_iter().zip(points) {
                found[index] = point;
            }
        }
        Ok(found)
    }

    /// How many points there are, or for how many the filter holds.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), a malformed filter, or that of a shard.
    pub fn count(&mut self, name: &str, filter: Option<Filter>) -> Result<u64> {
        let collection = self.collection(name)?;
        validate::filter(filter.as_ref())?;
        let filter = filter.map(Arc::new);
        let answers = self
            .caller
            .broadcast(|_| ask(&collection, Ask::Count(filter.clone())));
        answers.into_iter().try_fold(0, |sum, answer| match answer? {
            VectorReply::Count(count) => Ok(sum + count),
            other => Err(unexpected(&other)),
        })
    }

    /// A page of at most `limit` points in the order of their ids, beginning after `after`.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), a limit out of range, more than an answer may have, or that of a shard.
    pub fn scroll(
        &mut self,
        name: &str,
        after: Option<PointId>,
        limit: usize,
        with: With,
    ) -> Result<Vec<Point>> {
        let collection = self.collection(name)?;
        validate::limit("limit", limit, &self.commons.config)?;
        let answers = self.caller.broadcast(|_| {
            let after = after.clone();
            ask(&collection, Ask::Scroll { after, limit, with })
        });
        let mut points = Vec::new();
        for answer in answers {
            match answer? {
                VectorReply::Points(part) => points.extend(part.into_iter().flatten()),
                other => return Err(unexpected(&other)),
            }
        }
        points.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        points.truncate(limit);
        Ok(points)
    }

    /// The nearest points to one query, nearest first; ties are in the order of ids.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound); a vector, `k` or filter that is unfit; more than an answer may have; that of a
    /// shard: there are no results from some shards only.
    pub fn search(&mut self, name: &str, search: Search) -> Result<Vec<Hit>> {
        Ok(self
            .search_many(name, search)?
            .into_iter()
            .next()
            .unwrap_or_default())
    }

    /// The nearest points to each of the search's queries, in the same order.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub fn search_many(&mut self, name: &str, search: Search) -> Result<Vec<Vec<Hit>>> {
        let collection = self.collection(name)?;
        let mut prepared = validate::search(&collection, &self.commons.config, search)?;
        prepared.first = self.turn;
        self.turn = (self.turn + 1) % self.caller.shards();
        let prepared = Arc::new(prepared);
        let found = self.ask_all(&collection, &prepared)?;
        let too_few = |hits: &Vec<Hit>| hits.len() < prepared.k;
        if prepared.graph.is_none() || !found.iter().any(too_few) {
            return Ok(found);
        }
        // All there are, or the walk met too few: a scan tells.
        let exact = Arc::new(prepared.without_graph());
        self.ask_all(&collection, &exact)
    }

    /// Asks every shard and merges what they answer.
    fn ask_all(&mut self, collection: &Arc<Collection>, search: &Arc<Prepared>) -> Result<Vec<Vec<Hit>>> {
        let mut merged: Vec<Vec<Hit>> = search.queries.iter().map(|_| Vec::new()).collect();
        let answers = self
            .caller
            .broadcast(|_| ask(collection, Ask::Search(Arc::clone(search))));
        for answer in answers {
            match answer? {
                VectorReply::Hits(parts) => {
                    for (merged, part) in merged.iter_mut().zip(parts) {
                        merged.extend(part);
                    }
                }
                other => return Err(unexpected(&other)),
            }
        }
        for hits in &mut merged {
            if search.graph.is_some() {
                // A point that is replaced meanwhile may be met in the graph and at its shard: that one knows better.
                hits.sort_unstable_by(|a, b| a.id.cmp(&b.id).then(a.is_from_index.cmp(&b.is_from_index)));
                hits.dedup_by(|later, first| later.id == first.id);
            }
            hits.sort_unstable_by(|a, b| a.key.total_cmp(&b.key).then_with(|| a.id.cmp(&b.id)));
            hits.truncate(search.k);
        }
        Ok(merged)
    }

    fn collection(&mut self, name: &str) -> Result<Arc<Collection>> {
        self.refresh();
        let collection = self.collections.get(name).ok_or_else(|| {
            let name = name.to_owned();
            VectorError::NoCollection { name }
        })?;
        collection.check()?;
        Ok(Arc::clone(collection))
    }

    /// Looks at the catalogue when it has changed; the common case is one load.
    fn refresh(&mut self) {
        let version = self.commons.version.load(Ordering::Acquire);
        if version != self.version {
            self.version = version;
            self.collections = self
                .commons
                .catalogue
                .with(|catalogue| Arc::clone(&catalogue.collections));
        }
    }
}

fn ask(collection: &Arc<Collection>, ask: Ask) -> VectorMessage {
    VectorMessage {
        collection: Arc::clone(collection),
        ask,
    }
}

fn unexpected(reply: &VectorReply) -> Error {
    let kind = match reply {
        VectorReply::Done(_) => "a count of changes",
        VectorReply::Count(_) => "a count of points",
        VectorReply::Points(_) => "points",
        VectorReply::Hits(_) => "hits",
    };
    Error::new(
        ErrorKind::Unsupported,
        format!("a shard answered {kind} to another question"),
    )
}
