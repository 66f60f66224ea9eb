//! Unix sockets, sending, and the host's name.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::cerr;

/// How a unix socket carries messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketType {
    /// SOCK_DGRAM.
    Datagram,
    /// SOCK_STREAM.
    Stream,
}

/// A non-blocking unix socket, connected to a path of at most 107 bytes, or to an
/// abstract name, which begins with `@` in place of its NUL (unix(7)). A stream
/// whose listener's backlog is full gives EAGAIN, not a wait (unix(7)).
pub fn connect_unix(path: &str, kind: SocketType) -> io::Result<OwnedFd> {
    let kind = match kind {
        SocketType::Datagram => libc::SOCK_DGRAM,
        SocketType::Stream => libc::SOCK_STREAM,
    };
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers; the new descriptor has no other owner.
    let socket =
        unsafe { OwnedFd::from_raw_fd(cerr(libc::socket(libc::AF_UNIX, kind | flags, 0))?) };
    let mut address = libc::sockaddr_un {
        sun_family: libc::AF_UNIX as libc::sa_family_t,
        sun_path: [0; 108],
    };
    if path.len() >= address.sun_path.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in address.sun_path.iter_mut().zip(path.bytes()) {
        *to = from as libc::c_char;
    }
    let mut length = size_of::<libc::sockaddr_un>();
    if path.as_bytes().first() == Some(&b'@') {
        // here the length shows where the name ends, not a NUL
        address.sun_path[0] = 0;
        length = std::mem::offset_of!(libc::sockaddr_un, sun_path) + path.len();
    }
    // SAFETY: the address is valid for reading with this length, which is at most
    // its size, and a path ends in a NUL because it is shorter than its field.
    cerr(unsafe {
        libc::connect(
            socket.as_raw_fd(),
            std::ptr::from_ref(&address).cast(),
            length as libc::socklen_t,
        )
    })?;
    Ok(socket)
}

/// send(2) that neither blocks nor raises SIGPIPE; how many bytes were taken.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: pointer and length are those of one borrowed slice.
    let sent = unsafe {
        libc::send(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            flags,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// The next message, waited for; none (0 bytes) once the other end is closed.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match receive_with(socket, buffer, 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The same, but WouldBlock where no message has come yet.
pub fn receive_now(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    receive_with(socket, buffer, libc::MSG_DONTWAIT)
}

fn receive_with(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: libc::c_int,
) -> io::Result<usize> {
    let (at, length) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: pointer and length are those of one exclusively borrowed slice.
    let received = unsafe { libc::recv(socket.as_raw_fd(), at, length, flags) };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

/// The host's name (gethostname(2)); empty if there is none.
pub fn hostname() -> Vec<u8> {
    let mut name = vec![0u8; 256];
    // SAFETY: pointer and length are those of the vector; one byte less, so that
    // a name that was cut still ends in a NUL.
    unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let length = name.iter().position(|&b| b == 0).unwrap_or_default();
    name.truncate(length);
    name
}
