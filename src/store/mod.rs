//! What is kept on disk: finished work first, before anything is sent to anybody.

pub mod blobs;
