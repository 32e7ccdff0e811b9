//! (presence)
