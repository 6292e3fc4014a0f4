//! Whatever arrives on the API's port is answered or closed, in bounded time and memory, and does not
//! reach those who behave.

mod bodies;
mod crowd;
mod descriptors;
mod garbage;
mod http2;
mod resets;
mod unread;
mod wire;
