package main

func victim() {}
