from fasths._core cimport Engine


cdef class Negotiated:
    cdef object __weakref__
    cdef Engine _engine
    cdef object _context
    cdef object _hostname
