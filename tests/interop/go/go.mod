module fasths/interop

go 1.24
