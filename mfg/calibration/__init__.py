"""Pure arithmetic of the adjustment and its verification; no I/O, no OpenHTF."""
