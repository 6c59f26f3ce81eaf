//! Makes a socket that listens inside the network of a sandbox and belongs to the server.
//!
//! A socket stays in the network namespace in which it was made, whoever holds it. A process of several
//! threads may not join another user's namespace, so a fork of the server does, makes the socket, hands
//! it over and is gone.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// How many connections wait to be accepted.
const BACKLOG: i32 = 128;

/// `NS_GET_USERNS` (ioctl_nsfs(2)): the user namespace that another namespace belongs to.
const OWNER_OF: libc::c_ulong = 0xb701;

/// Returns a socket that listens on a port of the loopback of `network`, a network namespace.
pub(super) fn listen_in(network: &OwnedFd, port: u16) -> io::Result<TcpListener> {
    let owner = owner_of(network)?;
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    // SAFETY: the child makes system calls only; it allocates nothing, takes no lock and never returns.
    #[allow(unsafe_code)]
    let child = match unsafe { fork() }? {
        ForkResult::Child => {
            let made = hand_over(owner.as_fd(), network.as_fd(), port, theirs.as_fd());
            let code = made.map_or_else(rustix::io::Errno::raw_os_error, |()| 0);
            // SAFETY: ends the child at once, without what the server does when it ends.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => child,
    };
    drop(theirs);
    match waitpid(child, None)? {
        WaitStatus::Exited(_, 0) => {}
        WaitStatus::Exited(_, code) => return Err(io::Error::from_raw_os_error(code)),
        _ => return Err(io::Error::other("the process that makes the socket was killed")),
    }
    receive(&ours).map(TcpListener::from)
}

/// Runs in the child.
fn hand_over(
    owner: BorrowedFd<'_>,
    network: BorrowedFd<'_>,
    port: u16,
    to: BorrowedFd<'_>,
) -> rustix::io::Result<()> {
    move_into_link_name_space(owner, Some(LinkNameSpaceType::User))?;
    move_into_link_name_space(network, Some(LinkNameSpaceType::Network))?;
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    rustix::net::listen(&socket, BACKLOG)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    let sockets = [socket.as_fd()];
    if !message.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(rustix::io::Errno::NOBUFS);
    }
    rustix::net::sendmsg(to, &[io::IoSlice::new(b"s")], &mut message, SendFlags::empty())?;
    Ok(())
}

fn receive(from: &OwnedFd) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    rustix::net::recvmsg(from, &mut [io::IoSliceMut::new(&mut byte)], &mut message, RecvFlags::CMSG_CLOEXEC)?;
    let mut sockets = message.drain().filter_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    sockets.next().ok_or_else(|| io::Error::other("the process that makes the socket handed none over"))
}

#[allow(unsafe_code)]
fn owner_of(network: &OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: the call takes no memory, and what it returns is a new descriptor of ours.
    unsafe {
        let owner = libc::ioctl(network.as_raw_fd(), OWNER_OF);
        if owner < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(owner)) }
    }
}
