//! The whole program against real servers and clients, and what it says. One program, so that all
//! is linked once; a file is a module, and each test has its own folder, ports and processes.

mod asked_elsewhere;
mod check;
mod cli;
mod clients;
mod control;
mod demo;
mod directories;
mod faults;
mod faults_directory;
mod figures;
mod found_as_it_is;
mod golden;
mod init;
mod kill;
mod learned;
mod lies;
mod listeners;
mod next_hops;
mod operations;
mod probe;
mod put_off;
mod repeated;
mod reverse_name;
mod second_host;
mod sessions;
mod supervised;
mod turns;
