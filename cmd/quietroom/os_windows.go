package main

func syncDir(string) error { return nil } // Windows makes a rename durable by itself

func harden() {}
