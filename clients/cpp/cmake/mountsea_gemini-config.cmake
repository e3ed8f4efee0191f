include(${CMAKE_CURRENT_LIST_DIR}/gRPC.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/targets.cmake)
