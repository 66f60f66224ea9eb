//! The search for the most-stalled cgroup in a process of its own. To open or read a
//! file of a cgroup can take as long as reclaim does; a line must not wait for it. A
//! question is one message, and so is its answer.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use super::MostStalled;
use crate::pressure::{Kind, Percent, Resource};
use crate::sys::{self, Child};

/// The longest path that is handed over: a line has no room for a longer one.
const PATH_MAX: usize = 1000;
const PERCENT: usize = size_of::<u32>();
const QUESTION: usize = 2 + PERCENT;
const ANSWER: usize = PERCENT + PATH_MAX;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question {
    /// What tasks wait for.
    pub resource: Resource,
    /// Who waits.
    pub kind: Kind,
    /// The system's avg10.
    pub whole: Percent,
}

/// The newest answer; its buffer is allocated at the start.
pub struct Answer {
    text: Vec<u8>,
    length: usize,
}

/// The process that searches.
pub struct Search(OwnedFd);

impl Search {
    /// Starts it; it searches below this directory.
    ///
    /// # Errors
    /// Where no process can be created.
    pub fn start(mount: &Path) -> io::Result<(Search, Child)> {
        let run = |socket: BorrowedFd<'_>| serve(socket, MostStalled::new(mount));
        let (socket, child) = sys::start_child(c"psilogd-top", run)?;
        Ok((Search(socket), child))
    }

    /// Asks; doesn't block. The answer to the question before must have come.
    ///
    /// # Errors
    /// Where the process has ended.
    pub fn ask(&self, question: Question) -> io::Result<()> {
        sys::send(self.0.as_fd(), &question.bytes())?;
        Ok(())
    }

    /// Takes the answer; whether there was one. Doesn't block.
    ///
    /// # Errors
    /// Where the process has ended.
    pub fn take(&self, answer: &mut Answer) -> io::Result<bool> {
        match sys::receive_now(self.0.as_fd(), &mut answer.text) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                answer.length = length;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Search {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Question {
    fn bytes(self) -> [u8; QUESTION] {
        let [a, b, c, d] = self.whole.0.to_ne_bytes();
        [self.resource as u8, self.kind as u8, a, b, c, d]
    }

    fn parse(bytes: &[u8]) -> Option<Question> {
        let &[resource, kind, a, b, c, d] = bytes else {
            return None;
        };
        let mut kinds = [Kind::Some, Kind::Full].into_iter();
        Some(Question {
            resource: *Resource::ALL.get(usize::from(resource))?,
            kind: kinds.find(|known| *known as u8 == kind)?,
            whole: Percent(u32::from_ne_bytes([a, b, c, d])),
        })
    }
}

impl Default for Answer {
    /// None yet. Every page of the buffer is touched, so that it is there when needed.
    fn default() -> Answer {
        Answer {
            text: vec![1; ANSWER],
            length: 0,
        }
    }
}

impl Answer {
    /// The path and avg10 of the most-stalled cgroup; None where none stands out.
    pub fn found(&self) -> Option<(&[u8], Percent)> {
        let (avg10, path) = self.text[..self.length].split_first_chunk()?;
        (!path.is_empty()).then_some((path, Percent(u32::from_ne_bytes(*avg10))))
    }

    /// One that was found.
    #[cfg(test)]
    pub(crate) fn of(path: &[u8], avg10: Percent) -> Answer {
        let mut answer = Answer::default();
        answer.set(Some((path, avg10)));
        answer
    }

    fn set(&mut self, found: Option<(&[u8], Percent)>) {
        let found = found.filter(|(path, _)| path.len() <= PATH_MAX);
        let (path, avg10) = found.unwrap_or_default();
        self.length = PERCENT + path.len();
        self.text[..PERCENT].copy_from_slice(&avg10.0.to_ne_bytes());
        self.text[PERCENT..self.length].copy_from_slice(path);
    }
}

/// Answers until the other end is closed.
fn serve(socket: BorrowedFd<'_>, mut search: MostStalled) {
    let mut answer = Answer::default();
    let mut buffer = [0; QUESTION];
    while let Ok(length @ 1..) = sys::receive(socket, &mut buffer) {
        let Some(question) = Question::parse(&buffer[..length]) else {
            return;
        };
        let Question {
            resource,
            kind,
            whole,
        } = question;
        answer.set(search.find(resource, kind, whole));
        if sys::send(socket, &answer.text[..answer.length]).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_what_was_asked() {
        for resource in Resource::ALL {
            for kind in [Kind::Some, Kind::Full] {
                let whole = Percent(9_876);
                let question = Question {
                    resource,
                    kind,
                    whole,
                };
                assert_eq!(Question::parse(&question.bytes()), Some(question));
            }
        }
        for bytes in [
            &[][..],
            &[0; 5],
            &[0; 7],
            &[4, 0, 0, 0, 0, 0],
            &[0, 2, 0, 0, 0, 0],
        ] {
            assert_eq!(Question::parse(bytes), None);
        }
    }

    /// Waits for the answer.
    fn wait(search: &Search, answer: &mut Answer) -> io::Result<()> {
        while !search.take(answer)? {
            let mut slots = [sys::Slot::new(search.as_fd(), libc::POLLIN)];
            sys::poll(&mut slots, None)?;
        }
        Ok(())
    }

    #[test]
    fn another_process_searches() -> io::Result<()> {
        let root = std::env::temp_dir().join(format!("psilogd-search-{}", std::process::id()));
        std::fs::create_dir_all(root.join("a"))?;
        let text = "some avg10=9.00 avg60=0.00 avg300=0.00 total=0\n";
        std::fs::write(root.join("a/io.pressure"), text)?;
        let (search, child) = Search::start(&root)?;
        let mut answer = Answer::default();
        assert!(!search.take(&mut answer)?);
        for (kind, found) in [
            (Kind::Some, Some((b"/a".as_slice(), Percent(900)))),
            (Kind::Full, None),
        ] {
            let (resource, whole) = (Resource::Io, Percent(1000));
            search.ask(Question {
                resource,
                kind,
                whole,
            })?;
            wait(&search, &mut answer)?;
            assert_eq!(answer.found(), found);
        }
        std::fs::remove_dir_all(&root)?;
        // what is no question ends it
        sys::send(search.as_fd(), b"?")?;
        assert!(wait(&search, &mut answer).is_err());
        drop(search);
        while !child.is_over() {
            std::thread::yield_now();
        }
        Ok(())
    }

    #[test]
    fn an_answer_is_what_was_found() {
        let mut answer = Answer::default();
        assert_eq!(answer.found(), None);
        let longest = [b'x'; PATH_MAX];
        for path in [b"/a".as_slice(), &longest] {
            answer.set(Some((path, Percent(1))));
            assert_eq!(answer.found(), Some((path, Percent(1))));
        }
        for none in [None, Some(([b'x'; PATH_MAX + 1].as_slice(), Percent(1)))] {
            answer.set(none);
            assert_eq!((answer.length, answer.found()), (PERCENT, None));
        }
    }
}
