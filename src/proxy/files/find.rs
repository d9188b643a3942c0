//! From a path to what answers: `try`, index files, directories, and codings that lie ready.

use std::borrow::Cow;
use std::path::Path;
use std::rc::Rc;

use super::FileFault;
use super::store::{self, Node, OpenFile};
use crate::http1::{Accepted, Coding};
use crate::plan::{
    FileCachePlan, FilesPlan, LastResort, Listing, Place, Template, TryPath, TryPiece,
};
use crate::proxy::Context;
use crate::route::{PathFault, decode_file_path, is_hidden};

/// What answers.
pub enum Found {
    /// A file.
    File(Hit),
    /// A directory whose content may be shown: its path below the route's directory.
    Listing(Vec<u8>),
    /// The file that stands for a directory, and its own path.
    Index(Hit, Vec<u8>),
    /// A directory, asked for by this path, without a slash at its end or its beginning.
    Directory(Vec<u8>),
    /// Nothing is there, and this path is to be asked for instead.
    Elsewhere(Vec<u8>),
    /// Nothing is there, and the route with this number is to answer.
    Route(usize),
}

/// A file that answers.
pub struct Hit {
    pub file: Rc<OpenFile>,
    /// Its path, without the ending of a coding.
    pub path: Vec<u8>,
    /// What it is coded in.
    pub coding: Option<Coding>,
}

/// A search in one route.
pub struct Search<'a> {
    pub context: &'a Context,
    pub cache: &'a FileCachePlan,
    pub files: &'a FilesPlan,
    pub accepted: Accepted,
    /// Below which directory it is.
    pub folder: &'a Path,
    /// The path there, where it does not follow from what was asked for.
    pub whole: Option<&'a [u8]>,
    /// Fills in a text about the request.
    pub fill: &'a dyn Fn(&Template) -> Vec<u8>,
}

impl Search<'_> {
    /// What answers a request for this path, which is normalised.
    ///
    /// # Errors
    /// [`FileFault`]: why nothing does.
    pub async fn run(&self, path: &str) -> Result<Found, FileFault> {
        let path = decode_file_path(path).map_err(|fault| match fault {
            PathFault::Nul => FileFault::BadPath,
            PathFault::Ambiguous => FileFault::NotFound,
        })?;
        match &self.files.tries {
            None => self.content(&path).await,
            Some(tries) => {
                for candidate in &tries.paths {
                    if let Some(found) = self.attempt(candidate, &path).await? {
                        return Ok(found);
                    }
                }
                match &tries.last {
                    LastResort::Status(status) => Err(FileFault::Said(*status)),
                    LastResort::Path(path) => Ok(Found::Elsewhere((self.fill)(path))),
                    LastResort::Route(route) => Ok(Found::Route(*route)),
                }
            }
        }
    }

    /// One of `try`; `None`: it is not there.
    async fn attempt(&self, wanted: &TryPath, path: &[u8]) -> Result<Option<Found>, FileFault> {
        let mut candidate = Vec::with_capacity(path.len() + 16);
        for piece in &wanted.pieces {
            match piece {
                TryPiece::Text(text) => candidate.extend_from_slice(text.as_bytes()),
                TryPiece::Uri => {
                    candidate.push(b'/');
                    candidate.extend_from_slice(path);
                }
                TryPiece::Value(value) => candidate.extend((self.fill)(value)),
            }
        }
        // It says that a directory is meant, and is no part of its name.
        if wanted.directory {
            candidate.pop();
        }
        if wanted.varies() && leads_astray(&candidate) {
            return Ok(None);
        }
        let start = candidate.iter().take_while(|byte| **byte == b'/').count();
        let candidate = &candidate[start..];
        let Some(below) = self.below(candidate) else { return Ok(None) };
        Ok(match (self.look(&below).await?, wanted.directory) {
            (Node::File(file), false) => {
                Some(Found::File(self.coded(file, below.into_owned()).await?))
            }
            (Node::Folder, true) => Some(self.content(candidate).await?),
            _ => None,
        })
    }

    /// What the file system has under a path.
    async fn content(&self, path: &[u8]) -> Result<Found, FileFault> {
        let below = self.below(path).ok_or(FileFault::NotFound)?;
        // What an alias stands for may be asked for without a slash, like any other directory.
        let is_top = below.is_empty() && (path.is_empty() || path.ends_with(b"/"));
        let is_directory = is_top || below.ends_with(b"/");
        if is_directory && !matches!(self.files.place, Place::File { .. }) {
            return self.directory(path, below.into_owned()).await;
        }
        match self.look(&below).await? {
            Node::File(file) => Ok(Found::File(self.coded(file, below.into_owned()).await?)),
            Node::Folder => Ok(Found::Directory(path.to_vec())),
            Node::Missing => Err(FileFault::NotFound),
            Node::Refused => Err(FileFault::Forbidden),
        }
    }

    /// A directory's index, or its listing. `asked`: its path before it was led elsewhere.
    async fn directory(&self, asked: &[u8], path: Vec<u8>) -> Result<Found, FileFault> {
        let mut refused = false;
        for index in &self.files.index {
            let candidate = [&path, index.as_bytes()].concat();
            match self.look(&candidate).await? {
                Node::File(file) => {
                    let hit = self.coded(file, candidate).await?;
                    let name = [b"/", asked, index.as_bytes()].concat();
                    return Ok(Found::Index(hit, name));
                }
                Node::Refused => refused = true,
                Node::Folder | Node::Missing => {}
            }
        }
        match self.look(&path).await? {
            Node::Folder if self.files.listing != Listing::Off && !refused => {
                Ok(Found::Listing(path))
            }
            Node::Folder | Node::Refused => Err(FileFault::Forbidden),
            Node::File(_) | Node::Missing => Err(FileFault::NotFound),
        }
    }

    /// The path below the route's directory; `None`: it leads nowhere.
    fn below<'p>(&self, path: &'p [u8]) -> Option<Cow<'p, [u8]>> {
        match &self.files.place {
            Place::Root(_) | Place::Made { .. } => Some(path.into()),
            Place::Whole { .. } => Some(self.whole.unwrap_or_default().to_vec().into()),
            Place::File { name, .. } => Some(name.as_bytes().to_vec().into()),
            Place::Alias { matched, .. } => {
                let rest = path.strip_prefix(&matched[..])?;
                match (matched.last(), rest.first()) {
                    (None | Some(b'/'), _) | (_, None) => Some(rest.into()),
                    // Whole names only: the rest of a longer name is none of its own.
                    (Some(_), Some(b'/')) => Some(rest[1..].into()),
                    (Some(_), Some(_)) => None,
                }
            }
        }
    }

    async fn look(&self, path: &[u8]) -> Result<Node, FileFault> {
        if !self.files.hidden && is_hidden(path) {
            return Ok(Node::Missing);
        }
        let place = store::Place {
            context: self.context,
            cache: self.cache,
            folder: self.folder,
            symlinks: self.files.symlinks,
        };
        place.find(path).await
    }

    /// The file in the coding that the client wants most, of those in which it lies ready.
    async fn coded(&self, file: Rc<OpenFile>, path: Vec<u8>) -> Result<Hit, FileFault> {
        if self.accepted.any() && !self.files.precompressed.is_empty() {
            let mut offered = self.files.precompressed.clone();
            while let Some(coding) = self.accepted.best(&offered) {
                let ending: &[u8] = match coding {
                    Coding::Zstd => b".zst",
                    Coding::Brotli => b".br",
                    Coding::Gzip => b".gz",
                };
                if let Node::File(file) = self.look(&[&path[..], ending].concat()).await? {
                    return Ok(Hit { file, path, coding: Some(coding) });
                }
                offered.retain(|other| *other != coding);
            }
        }
        Ok(Hit { file, path, coding: None })
    }
}

/// Whether what a request says would lead out of the directory, or holds what no name may.
pub fn leads_astray(path: &[u8]) -> bool {
    path.contains(&0) || path.split(|byte| *byte == b'/').any(|name| matches!(name, b"." | b".."))
}
