# SPDX-License-Identifier: Apache-2.0
# Helpers of configure.ac.

# ROS2_CFLAG(VARIABLE, FLAG): appends FLAG to VARIABLE when the compiler takes it without a word.
# -Werror, because clang only warns about a warning option that it does not know.
AC_DEFUN([ROS2_CFLAG], [
  AS_VAR_PUSHDEF([ros2_cache], [ros2_cv_cflag_$2])
  AC_CACHE_CHECK([whether $CC takes $2], [ros2_cache], [
    ros2_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -Werror $2"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
      [AS_VAR_SET([ros2_cache], [yes])], [AS_VAR_SET([ros2_cache], [no])])
    CFLAGS=$ros2_save_CFLAGS])
  AS_VAR_IF([ros2_cache], [yes], [$1="${$1:+$$1 }$2"])
  AS_VAR_POPDEF([ros2_cache])
])

# ROS2_LDFLAG(VARIABLE, FLAG): the same for a flag of the link step.
AC_DEFUN([ROS2_LDFLAG], [
  AS_VAR_PUSHDEF([ros2_cache], [ros2_cv_ldflag_$2])
  AC_CACHE_CHECK([whether $CC links with $2], [ros2_cache], [
    ros2_save_LDFLAGS=$LDFLAGS
    LDFLAGS="$LDFLAGS -Werror $2"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
      [AS_VAR_SET([ros2_cache], [yes])], [AS_VAR_SET([ros2_cache], [no])])
    LDFLAGS=$ros2_save_LDFLAGS])
  AS_VAR_IF([ros2_cache], [yes], [$1="${$1:+$$1 }$2"])
  AS_VAR_POPDEF([ros2_cache])
])

# ROS2_NEED_LIB(VARIABLE, HEADER, FUNCTION, LIBRARY, MORE-LIBRARIES, DEBIAN-PACKAGE): a library that libros2
# cannot be without. VARIABLE_LIBS becomes the link line; what is missing is remembered, so that one run of
# configure names every package that is to be installed.
AC_DEFUN([ROS2_NEED_LIB], [
  ros2_have_$1=yes
  AC_CHECK_HEADER([$2], [], [ros2_have_$1=no])
  AS_IF([test "$ros2_have_$1" = yes],
    [AC_CHECK_LIB([$4], [$3], [:], [ros2_have_$1=no], [$5])])
  AS_IF([test "$ros2_have_$1" = yes],
    [AC_SUBST([$1_LIBS], ["-l$4 $5"])],
    [ros2_missing="$ros2_missing $6"])
])
