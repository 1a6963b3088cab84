@echo off
rem Deskside for terminals and scripts: waits until it has ended, and gives it the pipes and files that were asked for.
setlocal
rem Deskside.exe is a window's program: it puts the console, or a log, in place of its streams. Not when it is told which module to
rem run, and this is the one that it runs anyway.
set BRIEFCASE_MAIN_MODULE=deskside
"%~dp0..\Deskside.exe" %*
exit /b %ERRORLEVEL%
